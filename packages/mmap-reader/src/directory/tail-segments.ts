import { type Lsn, type PayloadDecoder, parseSegmentFileName, WalError } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import type { ChainEnd, Link } from '../chain/chain.js';
import { readChainBesideWriter, readChainFrom } from '../chain/chain-beside-writer.js';
import { cutBack, lostRecord, truncated } from '../chain/chain-errors.js';
import { sameId } from '../chain/segment.js';
import type { Frames } from '../frames/frames.js';
import { openSealed, openStreamed } from '../frames/open-scanner.js';
import type { WalProgress } from '../walk/call-watch.js';
import { makeSegmentDecoder } from '../walk/segment-decoder.js';
import type { SegmentWalk, WalkPolicy } from '../walk/segment-walk.js';
import { ActiveTail } from './active-tail.js';
import { FollowerCutDetection } from './follower-cut-detection.js';
import { noneDurable, type SkippedRecords, type TailPlan } from './log-tail-options.js';
import { type LastRead, lastReadBefore, lastReadIn, SEGMENT_END } from './resume-point.js';
import { TailCount } from './tail-count.js';

/**
 * The segments of a log beside its writer, for a tail: at the end of the newest one the walk waits for more, and goes on
 * where it is when the writer rolls. Where a segment cannot be read further, the place of the next record is looked for
 * again in the chain: the log may have been truncated or cut meanwhile, or its file reused.
 */
export class TailSegments implements WalkPolicy {
  /** Whether the next record has to be searched for again in the chain. */
  mustRelocate = false;
  /** What was removed before it was read, and is skipped. */
  skipped: readonly SkippedRecords[] = Object.freeze([]);
  /** Whether the current step blocks its thread. */
  isBlocking = false;
  readonly #io: StorageIo;
  readonly #directory: string;
  readonly #plan: TailPlan;
  readonly #walk: SegmentWalk;
  readonly #cuts: FollowerCutDetection;
  /** The chain as it was last read, from the current segment on. */
  #links: readonly Link[] = [];
  /** The end of the current segment, when it is the newest one. */
  #active: ActiveTail | undefined;
  /** The last LSN that is accepted from the current segment: in a plaintext segment, the last one before encryption. */
  #maxLsn: Lsn = Number.MAX_SAFE_INTEGER;
  /** Everything up to this LSN is proven durable, as long as the newest segment is the one with this id. */
  #provenLsn: Lsn = 0;
  #newestId: Uint8Array | undefined;
  /** The first LSN behind the checkpoint, as it was when the log was found; `undefined` where reading begins elsewhere. */
  #behindCheckpoint: Lsn | undefined;
  /** The last record of an earlier reader, until it was read again: it has to be of the same session. */
  #resumed: LastRead | undefined;
  /** Aborted when the tail is closed. */
  readonly #closing = new AbortController();
  /** Counts what is read; `undefined` when it is not reported. */
  readonly #count: TailCount | undefined;

  constructor(io: StorageIo, directory: string, plan: TailPlan, walk: SegmentWalk, isCounted: boolean) {
    this.#io = io;
    this.#count = isCounted ? new TailCount(io) : undefined;
    this.#directory = directory;
    this.#plan = plan;
    this.#walk = walk;
    this.#cuts = new FollowerCutDetection(plan.lastRead);
    this.#resumed = plan.lastRead;
  }

  /** How far it is; only where it is counted. */
  get progress(): WalProgress {
    const { frames, nextLsn } = this.#walk;
    const position = frames === undefined ? 0 : frames.base + frames.stop;
    return (this.#count as TailCount).progress(position, nextLsn);
  }

  /** The last record read, which is before the next one to return. */
  get lastRead(): LastRead | undefined {
    const known = this.#cuts.lastRead;
    const { frames, nextLsn } = this.#walk;
    if (known === undefined || frames === undefined) return known;
    const lsn = Math.min(frames.nextLsn, nextLsn) - 1;
    const link = this.#links[0] as Link;
    const isPassed = lsn > known.lsn || (lsn === known.lsn && known.number === link.header.number);
    if (!isPassed || (lsn === known.lsn && known.session !== undefined)) return known;
    return lastReadIn(link, lsn, this.#walk.sessions.of(lsn));
  }

  /**
   * Called when frames were read. @throws `WAL_TRUNCATED` when the record before the resume point is not the one that was read:
   * the log is a restored copy, which has gone on in the same segment
   */
  checkSession(): void {
    const resumed = this.#resumed;
    if (resumed?.session === undefined) return;
    const { frames, sessions } = this.#walk;
    if (frames === undefined) return;
    const { number } = (this.#links[0] as Link).header;
    if (number < resumed.number || frames.nextLsn <= resumed.lsn) return;
    const isSame =
      number > resumed.number || (resumed.session !== SEGMENT_END && sessions.of(resumed.lsn) === resumed.session);
    if (!isSame) {
      this.#walk.nextLsn = resumed.lsn + 1;
      throw cutBack(1, resumed.lsn, (this.#links[0] as Link).header.firstLsn);
    }
    this.#resumed = undefined;
  }

  /** Everything up to this LSN is proven to survive a crash by what was read; 0 when nothing is. */
  get provenLsn(): Lsn {
    return Math.max(this.#provenLsn, this.#active?.provenLsn ?? 0);
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** The error of calls once it is closed. */
  get closedBecause(): WalError | undefined {
    const { aborted, reason } = this.#closing.signal;
    return aborted ? (reason as WalError) : undefined;
  }

  /** Ends the walk, and its waiting for a key service. Idempotent. */
  close(): void {
    this.#closing.abort(closed(this.#directory));
  }

  /** Every record after `lastLsn` was cut off, according to the writer. */
  cutAfter(lastLsn: Lsn): void {
    this.#cuts.report(lastLsn);
    this.mustRelocate = true;
  }

  /** Closes the current segment. Idempotent. */
  leave(): void {
    this.#cuts.lastRead = this.lastRead;
    this.#provenLsn = this.provenLsn;
    this.#active?.close();
    this.#active = undefined;
    this.#walk.leave();
  }

  /**
   * Whether to begin again at the checkpoint: records right behind it were removed before any was returned, so the checkpoint
   * has moved, or they are not missing.
   */
  beginsAgain(error: unknown): boolean {
    const { nextLsn } = this.#walk;
    if (nextLsn !== this.#behindCheckpoint || !WalError.is(error, 'WAL_TRUNCATED') || error.reason !== undefined) {
      return false;
    }
    this.#walk.nextLsn = 0;
    this.#cuts.lastRead = undefined;
    return true;
  }

  /** Whether to continue with the first record in the log, as the next one was removed and that is to be skipped. */
  skips(error: unknown): boolean {
    if (this.#plan.onTruncated !== 'skip' || !WalError.is(error, 'WAL_TRUNCATED') || error.reason !== undefined) {
      return false;
    }
    const { lsn = 0, firstLsn = 0 } = error;
    if (firstLsn <= lsn) return false;
    const last = this.skipped.at(-1);
    // The log may have been truncated again before any record was returned.
    const goesOn = last !== undefined && last.toLsn + 1 === lsn && this.#walk.nextLsn === lsn;
    const range = Object.freeze({ fromLsn: goesOn ? last.fromLsn : lsn, toLsn: firstLsn - 1 });
    this.skipped = Object.freeze([...(goesOn ? this.skipped.slice(0, -1) : this.skipped), range]);
    this.#walk.nextLsn = firstLsn;
    this.#cuts.lastRead = undefined;
    this.#resumed = undefined;
    return true;
  }

  beforeStep(): void {
    if (this.isClosed) throw closed(this.#directory);
    if (this.#resumed !== undefined) this.checkSession();
    if (this.mustRelocate || this.#walk.hasFailed) this.leave();
    if (this.#active !== undefined || this.#walk.frames === undefined) return;
    this.#walk.until = Math.min(this.#lastOfSealed, this.#plan.upTo());
  }

  /** Finds the segment that contains the next record. */
  *enterNext(): IoRoutine<boolean> {
    const cuts = this.#cuts;
    const walk = this.#walk;
    const { reported } = cuts;
    this.mustRelocate = false;
    const from = walk.nextLsn === 0 ? this.#plan.from : walk.nextLsn;
    const check = (seen: readonly Link[]): IoRoutine<void> => this.#checkCuts(seen);
    const { links, before, firstWanted } = yield* readChainFrom(
      this.#io,
      this.#directory,
      from,
      cuts.lastRead?.number,
      check,
    );
    cuts.handled(reported);
    const [first, second] = links as [Link, ...Link[]];
    walk.nextLsn = firstWanted;
    if (from === 'checkpoint') this.#behindCheckpoint = firstWanted;
    // An LSN alone may not have been assigned yet, but the checkpoint was.
    const isThere = second !== undefined || from === 'checkpoint';
    const isBehind = isThere && first.header.firstLsn < walk.nextLsn;
    cuts.found(isBehind ? lastReadIn(first, walk.nextLsn - 1, undefined) : lastReadBefore(first));
    yield* this.#enter([...this.#resumedOf(before), ...links]);
    return true;
  }

  /**
   * The segments before the next record, from the one on that contains the record before the resume point: the session of that
   * record is found out by reading its segment. In an encrypted segment there is only one.
   */
  #resumedOf(before: readonly Link[]): readonly Link[] {
    const { number, session = SEGMENT_END } = this.#resumed ?? {};
    const index = session === SEGMENT_END ? -1 : before.findIndex(({ header }) => header.number === number);
    return index === -1 || before[index]?.header.encrypted === true ? [] : before.slice(index);
  }

  *onUnreadable({ end, nextLsn }: Frames): IoRoutine<boolean> {
    if (this.#active === undefined) {
      yield* this.#relocate(this.#lost(end, nextLsn));
      return true;
    }
    // A record that was readable a moment ago and is not now is searched for like one that is not written yet.
    if (yield* this.#lookAgain(this.#active)) return true;
    if (this.mustRelocate) return false;
    this.mustRelocate = true;
    return true;
  }

  *onEnd({ nextLsn }: Frames): IoRoutine<boolean> {
    if (this.#active !== undefined) return yield* this.#lookAgain(this.#active);
    if (nextLsn <= this.#lastOfSealed) return false;
    yield* this.#enter(this.#links.slice(1));
    return true;
  }

  /** The last LSN of a segment that has a successor. */
  get #lastOfSealed(): Lsn {
    return (this.#links[1] as Link).header.firstLsn - 1;
  }

  /** Opens the first segment of `links` for reading. */
  *#enter(links: readonly Link[]): IoRoutine<void> {
    const [link, successor] = links as [Link, ...Link[]];
    this.leave();
    this.#setLinks(links);
    if (this.#count !== undefined) yield* this.#count.enter(links, this.#walk.nextLsn);
    try {
      const decoder = yield* this.#makeDecoder();
      if (successor === undefined) yield* this.#enterNewest(link, decoder);
      else {
        this.#walk.enter(yield* openSealed(this.#io, link), decoder);
        this.#walk.lastOfSegment = this.#lastOfSealed;
      }
    } catch (error) {
      yield* this.#relocateUnlessThere(error);
    }
  }

  *#enterNewest(link: Link, decoder: PayloadDecoder): IoRoutine<void> {
    const reader = yield* openStreamed(this.#io, link);
    try {
      const probe = yield* openStreamed(this.#io, link);
      this.#active = new ActiveTail(this.#io, reader, probe, this.#provenLsn);
    } catch (error) {
      reader.close();
      throw error;
    }
    this.#walk.enter(reader, decoder);
    this.#walk.until = link.header.firstLsn - 1;
  }

  /**
   * A segment that has its name proves everything before it durable. What frames of the previous newest segment had
   * proven beyond that was cut off.
   */
  #setLinks(links: readonly Link[]): void {
    this.#links = links;
    const { firstLsn, segmentId } = (links.at(-1) as Link).header;
    const isSame = this.#newestId !== undefined && sameId(this.#newestId, segmentId);
    this.#provenLsn = isSame ? Math.max(this.#provenLsn, firstLsn - 1) : firstLsn - 1;
    this.#newestId = segmentId;
  }

  /** Makes the decoder of the current segment's records. */
  *#makeDecoder(): IoRoutine<PayloadDecoder> {
    const { decoding, keyRing } = this.#plan;
    const demands = { ...decoding, keyRing: keyRing() };
    const endLsn = this.#links[1]?.header.firstLsn ?? decoding.encryptedFrom?.() ?? Number.MAX_SAFE_INTEGER;
    const { signal } = this.#closing;
    const made = yield* makeSegmentDecoder(this.#io, this.#links, endLsn, demands, this.isBlocking, signal);
    this.#maxLsn = made.predatesEncryption ? endLsn - 1 : Number.MAX_SAFE_INTEGER;
    return made.decoder;
  }

  /** At the end of the newest segment. @returns whether there is something new */
  *#lookAgain(active: ActiveTail): IoRoutine<boolean> {
    const durableLsn = this.#plan.durable();
    const grown = yield* active.lookAgain();
    const most = Math.min(active.visibleLsn, this.#maxLsn, this.#plan.upTo());
    const until = Math.min(this.#plan.durableOnly ? active.provenLsn : active.visibleLsn, most);
    const isNews = until > this.#walk.until;
    // What was found may have been cut off before, which a later segment shows. No check is needed where cuts are
    // reported.
    if (!(isNews && this.#cutsAreReported) && (yield* this.#followRoll())) return true;
    if (isNews) {
      this.#walk.until = until;
      active.resume();
    } else if (!grown) yield* this.#checkWhole(active, durableLsn);
    return isNews;
  }

  /** Whether the writer of the log reports cuts to {@link cutAfter}. */
  get #cutsAreReported(): boolean {
    return this.#plan.durable !== noneDurable;
  }

  /**
   * Whether there is a later segment: then this one is complete, and is read to its end. The chain is also read when
   * the log no longer contains this segment.
   */
  *#followRoll(): IoRoutine<boolean> {
    const { header } = this.#links[0] as Link;
    const numbers = this.#io.list(this.#directory).map((name) => parseSegmentFileName(name)?.number ?? 0);
    if (numbers.includes(header.number) && numbers.every((number) => number <= header.number)) return false;
    const { links } = yield* this.#readChain();
    if (sameId((links.at(-1) as Link).header.segmentId, header.segmentId)) return false;
    yield* this.#continueIn(links);
    return true;
  }

  /** A segment could not be opened, perhaps because it was removed since the chain was read. */
  *#relocateUnlessThere(error: unknown): IoRoutine<void> {
    if (!WalError.is(error) || !GONE.has(error.code)) throw error;
    yield* this.#relocate(error);
  }

  /**
   * Reading the current segment cannot continue. If the log was truncated or cut meanwhile, that is reported, or
   * reading continues in another segment; otherwise `error` is thrown.
   */
  *#relocate(error: unknown): IoRoutine<void> {
    const own = (this.#links[0] as Link).header;
    const newest = (this.#links.at(-1) as Link).header;
    const { links } = yield* this.#readChain();
    const isThere = links.some(({ header }) => sameId(header.segmentId, own.segmentId));
    if (isThere && sameId((links.at(-1) as Link).header.segmentId, newest.segmentId)) throw error;
    yield* this.#continueIn(links);
  }

  /** Reads the chain from the current segment on, or from an older one if needed. */
  *#readChain(): IoRoutine<ChainEnd> {
    const number = Math.min((this.#links[0] as Link).header.number, this.lastRead?.number ?? 0);
    return yield* readChainBesideWriter(this.#io, this.#directory, (link) => link.header.number <= number);
  }

  /** Continues in the chain as it is now. */
  *#continueIn(links: readonly Link[]): IoRoutine<void> {
    const { header } = this.#links[0] as Link;
    yield* this.#checkCuts(links);
    const { frames, nextLsn } = this.#walk;
    const next = links.find((link) => link.header.number > header.number);
    const own = links.findIndex((link) => sameId(link.header.segmentId, header.segmentId));
    const isLeft = own !== -1 && next !== undefined && nextLsn < next.header.firstLsn;
    if (isLeft && frames !== undefined) yield* this.#continueSealed(frames, links.slice(own));
    else yield* this.#enter(links.slice(indexOf(links, nextLsn)));
  }

  /** Reads the rest of a segment that has a successor now. */
  *#continueSealed(frames: Frames, links: readonly Link[]): IoRoutine<void> {
    const range = { from: frames.end, nextLsn: frames.nextLsn };
    const { sessions } = this.#walk;
    this.leave();
    this.#setLinks(links);
    if (this.#count !== undefined) yield* this.#count.enter(links, this.#walk.nextLsn);
    try {
      const decoder = yield* this.#makeDecoder();
      this.#walk.enter(yield* openSealed(this.#io, links[0] as Link, range), decoder, sessions);
      this.#walk.lastOfSegment = this.#lastOfSealed;
    } catch (error) {
      yield* this.#relocateUnlessThere(error);
    }
  }

  /** @throws `WAL_TRUNCATED` when something that was read has been cut off */
  #checkCuts(links: readonly Link[]): IoRoutine<void> {
    return this.#cuts.check(this.#io, this.#directory, links, this.lastRead);
  }

  /** Throws when the bytes after the end of the newest segment, or its writer, prove that something is missing there. */
  *#checkWhole(active: ActiveTail, durableLsn: Lsn): IoRoutine<void> {
    let proof: string | undefined;
    if (active.nextLsn <= durableLsn) {
      // It may have become readable since.
      if (this.mustRelocate || (yield* active.lookAgain())) return;
      proof = `everything up to LSN ${durableLsn} is known to be durable`;
    } else if (active.isScanDue) proof = yield* active.findProof();
    if (proof === undefined) return;
    const { path } = this.#links[0] as Link;
    yield* this.#relocate(lostRecord(path, active.end, active.nextLsn, 'hole', proof));
  }

  /** The error for an unreadable record of a segment that has a successor. */
  #lost(offset: number, lsn: Lsn): WalError {
    const [link, successor] = this.#links as [Link, Link];
    const proof = `${successor.path} begins with LSN ${successor.header.firstLsn}`;
    return lostRecord(link.path, offset, lsn, 'hole-before-successor', proof);
  }
}

/** The errors for a file that was removed, or is being reused. */
const GONE = new Set<string>(['WAL_NOT_FOUND', 'WAL_TRUNCATED', 'WAL_BAD_HEADER']);

/** The index of the segment that contains a record. @throws `WAL_TRUNCATED` when it was removed */
function indexOf(links: readonly Link[], lsn: Lsn): number {
  const index = links.findLastIndex((link) => link.header.firstLsn <= lsn);
  if (index === -1) throw truncated(lsn, (links[0] as Link).header.firstLsn);
  return index;
}

function closed(directory: string): WalError {
  return new WalError('WAL_CLOSED', `the tail of the log in ${directory} was closed: make another one`, {
    path: directory,
    state: 'closed',
  });
}
