import {
  checkBoolean,
  checkInteger,
  checkLsn,
  checkOptions,
  checkPath,
  invalidType,
  KeyRing,
  type Lsn,
  optionNames,
  PayloadDecoder,
  parseSegmentFileName,
  WalError,
} from '@walstack/codec';
import { type IoRoutine, runAsync, runSync, type StorageIo } from '@walstack/storage-io';
import type { Link } from '../chain/chain.js';
import { type ChainBesideWriter, readChainBesideWriter, readChainFrom } from '../chain/chain-beside-writer.js';
import { cutBack, lostRecord, truncated } from '../chain/corruption.js';
import { type Demands, predatesEncryption } from '../chain/encrypted-from.js';
import { loadKeys } from '../chain/load-keys.js';
import { sameId } from '../chain/segment.js';
import { decodeRecord } from '../frames/decode-record.js';
import type { FrameScanner } from '../frames/frame-scanner.js';
import type { Frames } from '../frames/frames.js';
import { openSealed, openStreamed } from '../frames/open-scanner.js';
import type { WalRecord } from '../frames/wal-record.js';
import { ActiveTail } from './active-tail.js';
import { cutOf, type Known, knownAt, knownBefore, knownIn, type ResumePoint, resumePointOf } from './resume-point.js';

/** How a {@link LogTail} reads. */
export interface LogTailOptions {
  /**
   * The first LSN wanted, which may be one that was not given out yet; `'first'`, the default, is the first one kept. With a
   * {@link ResumePoint} it also says so when anything before that was cut off since; an LSN alone tells nothing of that.
   */
  readonly from?: Lsn | 'first' | ResumePoint;
  /**
   * Only records that survive a crash: those which a later group or a mark proves durable, so that the last ones come
   * when the log has been quiet for a moment, or goes on. Default `false`: everything that was handed to the operating
   * system, of which a crash may take the last ones back.
   */
  readonly durableOnly?: boolean;
  /**
   * Asked for the last LSN that may be given out now, where it is known without proof what is durable, as the writer does.
   * Batches are given out whole: it is to be the last record of one. Default: no such limit.
   */
  readonly upTo?: () => Lsn;
  /**
   * Returns the last LSN that is durable, in the process that writes the log and calls {@link LogTail.cutAfter} as well: what
   * cannot be read up to there is lost, and nothing in the log has to prove that. Default: only what the log proves.
   */
  readonly durable?: () => Lsn;
  /**
   * Give out copies of meta and payload, which stay as they are; those of up to 2 KiB may share a buffer of 8 KiB, as Node's
   * own small buffers do. With `false` they are views and good only until the next record is asked for. Default `true`.
   */
  readonly copy?: boolean;
  /**
   * Whether a record is wanted; asked before it is decoded, so that one that is not wanted need not be one that can be.
   * Default: all are.
   */
  readonly matches?: ((record: Pick<WalRecord, 'type' | 'scope' | 'timestampMs'>) => boolean) | undefined;
  /** The keys of encrypted segments; from the writer of the log a function, as it may be given another ring later. */
  readonly keyRing?: KeyRing | (() => KeyRing | undefined) | undefined;
  /**
   * Take what is not encrypted, though there is a key ring. Default `false`: only records from before the log was encrypted,
   * which a later record that the key opens proves.
   */
  readonly allowPlaintext?: boolean;
  /**
   * Asked for the LSN from which on the log is encrypted, by the writer of the log, which knows without such a proof.
   * Default: what the segments prove.
   */
  readonly encryptedFrom?: (() => Lsn | undefined) | undefined;
  /** The longest payload that is decompressed, in bytes. Default 64 MiB. */
  readonly maxPayloadBytes?: number;
}

const OPTIONS = optionNames<LogTailOptions>({
  from: true,
  durableOnly: true,
  upTo: true,
  durable: true,
  copy: true,
  matches: true,
  keyRing: true,
  allowPlaintext: true,
  encryptedFrom: true,
  maxPayloadBytes: true,
});

/**
 * Reads a log beside whoever writes it, in this process or another one, without a lock: in order, from an LSN on, from
 * segment to segment, as far as there is something to read, and later on from there.
 *
 * Of the segment that is being written it sees a consistent prefix, by plain reads. A record that is not there to its
 * end, or whose batch is not, is *not there yet*, which is no error. Something acknowledged that cannot be read is.
 *
 * ```ts
 * for (;;) {
 *   while (await tail.advance()) for (let r = tail.next(); r; r = tail.next()) use(r);
 *   await somethingHappens();
 * }
 * ```
 */
export class LogTail {
  readonly #io: StorageIo;
  readonly #directory: string;
  readonly #from: Lsn | 'first';
  readonly #durableOnly: boolean;
  readonly #upTo: () => Lsn;
  readonly #durable: () => Lsn;
  readonly #copy: boolean;
  readonly #matches: LogTailOptions['matches'];
  readonly #keyRing: () => KeyRing | undefined;
  readonly #decoding: Omit<Demands, 'keyRing'>;
  /** The chain as it was seen last, from the segment that is being read on. */
  #links: readonly Link[] = [];
  /** What is read from: a segment that has a successor, or the newest one. */
  #scanner: FrameScanner | undefined;
  #active: ActiveTail | undefined;
  #decoder: PayloadDecoder | undefined;
  /** Whether the present step blocks its thread. */
  #blocking = false;
  /** The last LSN that the present segment may hold: of one in the clear, the last one before encryption. */
  #mostLsn: Lsn = Number.MAX_SAFE_INTEGER;
  /** The last LSN that is given out from the present segment now. */
  #until: Lsn = 0;
  /** The first LSN that was not given out yet; 0 until it is known. */
  #nextLsn: Lsn;
  /** The last record that it had come to when it entered the present segment; `undefined` before it has found the log. */
  #known: Known | undefined;
  /** Whether what is known was in the log when reading began: from then on all cuts are told where any is. */
  #wasThere = false;
  /** The log was cut off behind this LSN, which was told and not looked at yet. */
  #cut: { readonly lsn: Lsn } | undefined;
  /** Whether the record that comes next has to be looked for anew. */
  #isAstray = false;
  /** Everything up to here is proven to be durable, as long as the newest segment is the one with this id. */
  #provenLsn: Lsn = 0;
  #newestId: Uint8Array | undefined;
  #isClosed = false;
  /** Aborted when it is closed. */
  readonly #closing = new AbortController();
  #isAdvancing = false;

  /**
   * @param io - a backend on which the log is; it is not ended with the tail
   * @param directory - of the log
   */
  constructor(io: StorageIo, directory: string, options: LogTailOptions = {}) {
    const {
      from = 'first',
      durableOnly = false,
      upTo = noLimit,
      durable = nothing,
      copy = true,
      matches,
      keyRing,
      allowPlaintext = false,
      encryptedFrom,
      maxPayloadBytes = 64 * 1024 * 1024,
    } = checkOptions('options', options, OPTIONS);
    if (typeof upTo !== 'function') throw invalidType('upTo', 'a function', upTo);
    if (typeof durable !== 'function') throw invalidType('durable', 'a function', durable);
    this.#io = io;
    this.#directory = checkPath('directory', directory);
    this.#known = typeof from === 'object' ? knownAt('from', from) : undefined;
    this.#from = typeof from === 'object' ? from.lsn : from === 'first' ? from : checkLsn('from', from);
    this.#nextLsn = this.#from === 'first' ? 0 : this.#from;
    this.#durableOnly = checkBoolean('durableOnly', durableOnly);
    this.#upTo = upTo;
    this.#durable = durable;
    this.#copy = checkBoolean('copy', copy);
    if (matches !== undefined && typeof matches !== 'function') throw invalidType('matches', 'a function', matches);
    this.#matches = matches;
    if (keyRing !== undefined && typeof keyRing !== 'function' && !(keyRing instanceof KeyRing)) {
      throw invalidType('keyRing', 'a KeyRing, or a function that returns one', keyRing);
    }
    if (encryptedFrom !== undefined && typeof encryptedFrom !== 'function') {
      throw invalidType('encryptedFrom', 'a function', encryptedFrom);
    }
    this.#keyRing = typeof keyRing === 'function' ? keyRing : () => keyRing;
    this.#decoding = {
      encryptedFrom,
      allowPlaintext: checkBoolean('allowPlaintext', allowPlaintext),
      maxPayloadBytes: checkInteger('maxPayloadBytes', maxPayloadBytes),
    };
  }

  /** The LSN of the record that comes next; `undefined` before the first `advance()` that found the log. */
  get nextLsn(): Lsn | undefined {
    return this.#nextLsn === 0 ? undefined : this.#nextLsn;
  }

  /**
   * Where another tail goes on that has what this one has given out; `undefined` before the first `advance()` that found the
   * log, and as long as the log does not go up to the first LSN wanted.
   */
  get resumePoint(): ResumePoint | undefined {
    const has = this.#has;
    return has !== undefined && has.lsn + 1 === this.#nextLsn ? resumePointOf(has) : undefined;
  }

  /** Everything up to this LSN is proven to survive a crash by what was read; 0 while nothing is. */
  get provenLsn(): Lsn {
    return Math.max(this.#provenLsn, this.#active?.provenLsn ?? 0);
  }

  /**
   * The next record of those that `advance()` found; `undefined` when it has to be called again.
   *
   * @throws `WAL_BAD_KEY`, `WAL_CORRUPT`, `WAL_TOO_LARGE`, `WAL_UNSUPPORTED` when the record cannot be decoded: it remains the
   * next one
   */
  next(): WalRecord | undefined {
    const frames = this.#scanner?.frames;
    const decoder = this.#decoder;
    if (frames === undefined || decoder === undefined || this.#isAstray) return undefined;
    try {
      while (frames.nextLsn <= this.#until && frames.next()) {
        if (frames.isMark || frames.lsn < this.#nextLsn) continue;
        if (this.#matches?.(frames) === false) {
          this.#pass(frames);
          continue;
        }
        const record = decodeRecord(frames, decoder, this.#copy);
        this.#nextLsn = record.lsn + 1;
        return record;
      }
      frames.checkRead();
    } catch (error) {
      this.#isAstray = true;
      throw error;
    }
    return undefined;
  }

  /** Leaves out a record that is not wanted. @throws `WAL_CORRUPT` when what says so could not be read */
  #pass(frames: Frames): void {
    frames.checkRead();
    this.#nextLsn = frames.lsn + 1;
  }

  /** Takes the record back that `next()` gave out last, before anything else was called: it is the next one again. */
  putBack(): void {
    this.#nextLsn--;
    this.#isAstray = true;
  }

  /**
   * To be called in the moment when the end of the log is cut off: every record behind `lastLsn` is gone, and none of them is
   * given out from then on.
   */
  cutAfter(lastLsn: Lsn): void {
    this.#cut = { lsn: Math.min(lastLsn, this.#cut?.lsn ?? lastLsn) };
    this.#isAstray = true;
  }

  /**
   * Looks for further records.
   *
   * @returns `false` when there is nothing more to read yet; `true` when `next()` may have some
   * @throws `WAL_TRUNCATED` with `firstLsn` when the record that comes next was removed, and with `reason` `'cut-back'`
   * when something was cut off that had been given out, or stood before the resume point: what was read from `lsn` on is not
   * in the log any more; `lsn` is 1 where nothing says how much that is. `WAL_CORRUPT` where something acknowledged cannot be
   * read; `WAL_NOT_FOUND` where there is no log; `WAL_CLOSED`; `WAL_STATE` while another call is under way, which goes on.
   * Called again, it tries again where it was
   */
  advance(): Promise<boolean> {
    this.#blocking = false;
    return runAsync(this.#io, this.advancing());
  }

  /** Like {@link advance}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
  advanceSync(): boolean {
    this.#blocking = true;
    try {
      return runSync(this.#io, this.advancing());
    } finally {
      this.#blocking = false;
    }
  }

  /** {@link advance} as an I/O routine. */
  *advancing(): IoRoutine<boolean> {
    if (this.#isAdvancing) throw busy(this.#directory);
    this.#isAdvancing = true;
    try {
      return yield* this.#looking();
    } catch (error) {
      this.#closeScanner();
      throw error;
    } finally {
      this.#isAdvancing = false;
      if (this.#isClosed) this.#closeScanner();
    }
  }

  *#looking(): IoRoutine<boolean> {
    for (;;) {
      if (this.#isClosed) throw closed(this.#directory);
      if (this.#isAstray) this.#closeScanner();
      if (this.#scanner === undefined) {
        yield* this.#begin();
        continue;
      }
      if (this.#active === undefined) this.#until = Math.min(this.#lastOfSealed, this.#upTo());
      const { frames } = this.#scanner;
      if (frames.nextLsn <= this.#until && (frames.hasMore || (yield* this.#scanner.fill()))) return true;
      if (this.#active !== undefined) {
        // What was there a moment ago and is not now is looked for as anything that is not there.
        const isAway = frames.nextLsn <= this.#until;
        if (yield* this.#lookAgain(this.#active)) continue;
        if (!isAway || this.#isAstray) return false;
        this.#isAstray = true;
      } else if (frames.nextLsn > this.#lastOfSealed) {
        yield* this.#enter(this.#links.slice(1));
      } else if (frames.nextLsn <= this.#until) {
        yield* this.#relocate(this.#lost(frames.end, frames.nextLsn));
      } else return false;
    }
  }

  /**
   * Ends the reading and closes its file, once the step under way is done that needs it. A key service is not waited for any
   * more. Idempotent.
   */
  close(): void {
    this.#isClosed = true;
    this.#closing.abort(closed(this.#directory));
    if (!this.#isAdvancing) this.#closeScanner();
  }

  /** Closes the tail: {@link close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Finds the segment that holds the record that comes next. */
  *#begin(): IoRoutine<void> {
    const known = this.#known;
    const cut = this.#cut;
    this.#isAstray = false;
    const from = this.#nextLsn === 0 ? this.#from : this.#nextLsn;
    const check = (seen: readonly Link[]): IoRoutine<void> => this.#checkKnown(seen);
    const { links } = yield* readChainFrom(this.#io, this.#directory, from, known?.number, check);
    if (this.#cut === cut) this.#cut = undefined;
    const [first, second] = links as [Link, ...Link[]];
    if (from === 'first') this.#nextLsn = first.header.firstLsn;
    const isBehind = second !== undefined && first.header.firstLsn < this.#nextLsn;
    this.#wasThere = true;
    this.#known ??= isBehind ? knownIn(first, this.#nextLsn - 1) : knownBefore(first);
    yield* this.#enter(links);
  }

  /** The last record that it has come to, and that stands before the one that comes next. */
  get #has(): Known | undefined {
    const known = this.#known;
    const frames = this.#scanner?.frames;
    if (known === undefined || frames === undefined) return known;
    const lsn = Math.min(frames.nextLsn, this.#nextLsn) - 1;
    return lsn > known.lsn ? knownIn(this.#links[0] as Link, lsn) : known;
  }

  /** @throws `WAL_TRUNCATED` when something was cut off that it has come to */
  *#checkKnown(links: readonly Link[]): IoRoutine<void> {
    const has = this.#has;
    if (has === undefined) return;
    const lsn = this.#cutOf(links, has);
    if (lsn === undefined) return;
    const { links: all } = yield* readChainBesideWriter(this.#io, this.#directory, () => false);
    // It may have been cut off further meanwhile.
    const again = this.#cutOf(all, has) ?? lsn;
    throw cutBack(Math.min(lsn, again), has.lsn, (all[0] as Link).header.firstLsn);
  }

  /** The first LSN that was cut off of what it has, as its writer says, or the chain; `undefined` when none was. */
  #cutOf(links: readonly Link[], has: Known): Lsn | undefined {
    const told = this.#cut === undefined || this.#cut.lsn >= has.lsn ? undefined : this.#cut.lsn + 1;
    if (told !== undefined && this.#wasThere) return told;
    const seen = cutOf(links, has);
    return told === undefined || seen === undefined ? (told ?? seen) : Math.min(told, seen);
  }

  /** The last LSN of a segment that has a successor. */
  get #lastOfSealed(): Lsn {
    return (this.#links[1] as Link).header.firstLsn - 1;
  }

  /** Begins with a segment, the first of `links`. */
  *#enter(links: readonly Link[]): IoRoutine<void> {
    const [link, successor] = links as [Link, ...Link[]];
    this.#closeScanner();
    this.#links = links;
    this.#noteProven(links);
    try {
      yield* this.#prepareDecoder(link);
      if (successor !== undefined) this.#scanner = yield* openSealed(this.#io, link);
      else yield* this.#enterNewest(link);
    } catch (error) {
      yield* this.#relocateUnlessThere(error);
    }
  }

  /**
   * That a segment has its name proves everything before it durable. What the frames of the one that was the newest before
   * have proven beyond that was cut off.
   */
  #noteProven(links: readonly Link[]): void {
    const { firstLsn, segmentId } = (links.at(-1) as Link).header;
    const isSame = this.#newestId !== undefined && sameId(this.#newestId, segmentId);
    this.#provenLsn = isSame ? Math.max(this.#provenLsn, firstLsn - 1) : firstLsn - 1;
    this.#newestId = segmentId;
  }

  /** A segment could not be opened: perhaps as it was removed since the chain was read. */
  *#relocateUnlessThere(error: unknown): IoRoutine<void> {
    if (!WalError.is(error) || !GONE.has(error.code)) throw error;
    yield* this.#relocate(error);
  }

  /** What decodes the records of a segment, its key at hand. */
  *#prepareDecoder({ path, header }: Link): IoRoutine<void> {
    const keyRing = this.#keyRing();
    const { signal } = this.#closing;
    const demands = { ...this.#decoding, keyRing };
    if (header.encrypted) yield* loadKeys(keyRing, [header.keyId], this.#blocking, signal);
    const endLsn = this.#links[1]?.header.firstLsn ?? this.#decoding.encryptedFrom?.() ?? Number.MAX_SAFE_INTEGER;
    const predates = yield* predatesEncryption(this.#io, this.#links, endLsn, demands, this.#blocking, signal);
    const { allowPlaintext, maxPayloadBytes } = demands;
    const decoding = { keyRing, allowPlaintext, maxPayloadBytes, predatesEncryption: predates };
    this.#decoder = new PayloadDecoder(header, path, decoding);
    this.#mostLsn = predates ? endLsn - 1 : Number.MAX_SAFE_INTEGER;
  }

  *#enterNewest(link: Link): IoRoutine<void> {
    const reader = yield* openStreamed(this.#io, link);
    try {
      const probe = yield* openStreamed(this.#io, link);
      this.#active = new ActiveTail(this.#io, reader, probe, this.#provenLsn);
    } catch (error) {
      reader.close();
      throw error;
    }
    this.#scanner = reader;
    this.#until = link.header.firstLsn - 1;
  }

  /** At the end of the newest segment. @returns whether there is something new */
  *#lookAgain(active: ActiveTail): IoRoutine<boolean> {
    const durableLsn = this.#durable();
    const grown = yield* active.lookAgain();
    const most = Math.min(active.visibleLsn, this.#mostLsn, this.#upTo());
    const until = Math.min(this.#durableOnly ? active.provenLsn : active.visibleLsn, most);
    const isNews = until > this.#until;
    // What was found may have been cut off before: a later segment says so. Where cuts are told, there is no need to look.
    if (!(isNews && this.#isTold) && (yield* this.#followRoll())) return true;
    if (isNews) {
      this.#until = until;
      active.resume();
    } else if (!grown) yield* this.#checkWhole(active, durableLsn);
    return isNews;
  }

  /** Whether the writer of the log reports cuts. */
  get #isTold(): boolean {
    return this.#durable !== nothing;
  }

  /**
   * Whether a later segment has its name: then everything in this one is there, and it is read again to its end. A log that
   * has not this one any more is looked at, too.
   */
  *#followRoll(): IoRoutine<boolean> {
    const { header } = this.#links[0] as Link;
    const numbers = this.#io.list(this.#directory).map((name) => parseSegmentFileName(name)?.number ?? 0);
    if (numbers.includes(header.number) && numbers.every((number) => number <= header.number)) return false;
    const { links } = yield* this.#readChain();
    if (sameId((links.at(-1) as Link).header.segmentId, header.segmentId)) return false;
    yield* this.#goTo(links);
    return true;
  }

  /**
   * What is being read cannot be read on. When the log was truncated or cut meanwhile, that is why, or there is another
   * segment to go on in; else it is an error.
   */
  *#relocate(error: unknown): IoRoutine<void> {
    const own = (this.#links[0] as Link).header;
    const newest = (this.#links.at(-1) as Link).header;
    const { links } = yield* this.#readChain();
    const isThere = links.some(({ header }) => sameId(header.segmentId, own.segmentId));
    if (isThere && sameId((links.at(-1) as Link).header.segmentId, newest.segmentId)) throw error;
    yield* this.#goTo(links);
  }

  /** The chain from the segment that is being read on, or from the oldest one. */
  *#readChain(): IoRoutine<ChainBesideWriter> {
    const number = Math.min((this.#links[0] as Link).header.number, this.#has?.number ?? 0);
    return yield* readChainBesideWriter(this.#io, this.#directory, (link) => link.header.number <= number);
  }

  /** Goes on in a chain as it is now. */
  *#goTo(links: readonly Link[]): IoRoutine<void> {
    const { header } = this.#links[0] as Link;
    yield* this.#checkKnown(links);
    const next = links.find((link) => link.header.number > header.number);
    const own = links.findIndex((link) => sameId(link.header.segmentId, header.segmentId));
    const isLeft = own !== -1 && next !== undefined && this.#nextLsn < next.header.firstLsn;
    if (isLeft && this.#scanner !== undefined) yield* this.#seal(this.#scanner, links.slice(own));
    else yield* this.#enter(links.slice(this.#indexOfNext(links)));
  }

  /** Reads what is left of a segment that has a successor now. */
  *#seal({ frames }: FrameScanner, links: readonly Link[]): IoRoutine<void> {
    const range = { from: frames.end, nextLsn: frames.nextLsn };
    this.#closeScanner();
    this.#links = links;
    this.#noteProven(links);
    try {
      yield* this.#prepareDecoder(links[0] as Link);
      this.#scanner = yield* openSealed(this.#io, links[0] as Link, range);
    } catch (error) {
      yield* this.#relocateUnlessThere(error);
    }
  }

  /** Which segment holds the record that comes next. */
  #indexOfNext(links: readonly Link[]): number {
    const index = links.findLastIndex((link) => link.header.firstLsn <= this.#nextLsn);
    if (index === -1) throw truncated(this.#nextLsn, (links[0] as Link).header.firstLsn);
    return index;
  }

  /** What stands behind the end of the newest segment, or its writer, may prove that something is missing there. */
  *#checkWhole(active: ActiveTail, durableLsn: Lsn): IoRoutine<void> {
    let proof: string | undefined;
    if (active.nextLsn <= durableLsn) {
      // It may have come into sight since.
      if (this.#isAstray || (yield* active.lookAgain())) return;
      proof = `everything up to LSN ${durableLsn} is known to be durable`;
    } else if (active.isEvidenceDue) proof = yield* active.evidence();
    if (proof === undefined) return;
    const { path } = this.#links[0] as Link;
    yield* this.#relocate(lostRecord(path, active.end, active.nextLsn, 'hole', proof));
  }

  /** A record of a segment that has a successor cannot be read. */
  #lost(offset: number, lsn: Lsn): WalError {
    const [link, successor] = this.#links as [Link, Link];
    const proof = `${successor.path} begins with LSN ${successor.header.firstLsn}`;
    return lostRecord(link.path, offset, lsn, 'hole-before-successor', proof);
  }

  #closeScanner(): void {
    this.#known = this.#has;
    this.#provenLsn = this.provenLsn;
    this.#active?.close();
    this.#active = undefined;
    this.#scanner?.close();
    this.#scanner = undefined;
  }
}

/** What is said of a file that was removed, or gets its next life. */
const GONE = new Set<string>(['WAL_NOT_FOUND', 'WAL_TRUNCATED', 'WAL_BAD_HEADER']);

const noLimit = (): Lsn => Number.MAX_SAFE_INTEGER;

const nothing = (): Lsn => 0;

function busy(directory: string): WalError {
  const what = `the tail of the log in ${directory} is looking for further records: wait for that before you ask again`;
  return new WalError('WAL_STATE', what, { path: directory, state: 'advancing' });
}

function closed(directory: string): WalError {
  return new WalError('WAL_CLOSED', `the tail of the log in ${directory} was closed: make another one`, {
    path: directory,
    state: 'closed',
  });
}
