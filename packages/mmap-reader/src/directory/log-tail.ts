import { KeyRing, type Lsn, PayloadDecoder, parseSegmentFileName, WalError } from '@walstack/codec';
import {
  checkBoolean,
  checkInteger,
  checkLsn,
  checkOptions,
  checkPath,
  invalidType,
  optionNames,
} from '@walstack/codec/internal';
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
import {
  findCut,
  type LastRead,
  lastReadAt,
  lastReadBefore,
  lastReadIn,
  type ResumePoint,
  resumePointOf,
} from './resume-point.js';

/** How a {@link LogTail} reads. */
export interface LogTailOptions {
  /**
   * The first LSN to return, which may not have been assigned yet; `'first'`, the default, is the first one in the log.
   * With a {@link ResumePoint} the tail also throws when anything before it was cut off since; with an LSN alone that
   * cannot be detected.
   */
  readonly from?: Lsn | 'first' | ResumePoint;
  /**
   * Return only records that survive a crash: those that a later group or a mark proves durable, so that the last ones
   * are returned when the log continues, or has been idle for a moment. Default `false`: everything that was handed to
   * the operating system, the last of which a crash may undo.
   */
  readonly durableOnly?: boolean;
  /**
   * Returns the last LSN that may be returned now; for the process of the writer, which knows what is durable without a
   * proof. Batches are returned whole: it has to be the last record of one. Default: no limit.
   */
  readonly upTo?: () => Lsn;
  /**
   * Returns the last LSN that is durable; for the process that writes the log, which has to call {@link
   * LogTail.cutAfter} as well: a record up to there that cannot be read is lost, without further proof in the log.
   * Default: only what the log proves.
   */
  readonly durable?: () => Lsn;
  /**
   * Return copies of meta and payload; copies of up to 2 KiB may share a buffer of 8 KiB, as small buffers of Node.js
   * do. With `false` they are views, valid only until the next record is read. Default `true`.
   */
  readonly copy?: boolean;
  /**
   * Whether to return a record; called before the record is decoded, so that records that are skipped need not be
   * decodable. Default: all are returned.
   */
  readonly matches?: ((record: Pick<WalRecord, 'type' | 'scope' | 'timestampMs'>) => boolean) | undefined;
  /** The keys of encrypted segments; a function in the process of the writer, whose key ring may change later. */
  readonly keyRing?: KeyRing | (() => KeyRing | undefined) | undefined;
  /**
   * Accept plaintext records although there is a key ring. Default `false`: only those from before the log was
   * encrypted, which a later record that the key opens proves.
   */
  readonly allowPlaintext?: boolean;
  /**
   * Returns the LSN from which on the log is encrypted; for the process of the writer, which knows it without such a
   * proof. Default: what the segments prove.
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
 * Reads a log beside its writer, in this process or another one, without a lock: in order, from an LSN on, from segment
 * to segment, up to the last readable record, and later on from there.
 *
 * Of the segment that is being written it sees a consistent prefix, by plain reads. A record that is not completely
 * written, or whose batch is not, is *not there yet*, which is no error. An acknowledged record that cannot be read is
 * an error.
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
  /** The chain as it was last read, from the current segment on. */
  #links: readonly Link[] = [];
  /** The scanner of the current segment: one that has a successor, or the newest one. */
  #scanner: FrameScanner | undefined;
  #active: ActiveTail | undefined;
  #decoder: PayloadDecoder | undefined;
  /** Whether the current step blocks its thread. */
  #blocking = false;
  /** The last LSN that is accepted from the current segment: in a plaintext segment, the last one before encryption. */
  #maxLsn: Lsn = Number.MAX_SAFE_INTEGER;
  /** The last LSN that may be returned from the current segment now. */
  #until: Lsn = 0;
  /** The first LSN that was not returned yet; 0 until it is known. */
  #nextLsn: Lsn;
  /** The last record read before the current segment was opened; `undefined` before the log was found. */
  #known: LastRead | undefined;
  /** Whether `#known` was found in the log: from then on a writer that reports cuts has reported all that matter. */
  #knownWasSeen = false;
  /** The log was cut off after this LSN, as its writer reported; not handled yet. */
  #reportedCut: { readonly lsn: Lsn } | undefined;
  /** Whether the next record has to be searched for again in the chain. */
  #mustRelocate = false;
  /** Everything up to this LSN is proven durable, as long as the newest segment is the one with this id. */
  #provenLsn: Lsn = 0;
  #newestId: Uint8Array | undefined;
  #isClosed = false;
  /** Aborted when the tail is closed. */
  readonly #closing = new AbortController();
  #isAdvancing = false;

  /**
   * @param io - the backend with the log; it is not disposed of with the tail
   * @param directory - the log's directory
   */
  constructor(io: StorageIo, directory: string, options: LogTailOptions = {}) {
    const {
      from = 'first',
      durableOnly = false,
      upTo = noLimit,
      durable = noneDurable,
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
    this.#known = typeof from === 'object' ? lastReadAt('from', from) : undefined;
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

  /** The LSN of the next record; `undefined` before the first `advance()` that found the log. */
  get nextLsn(): Lsn | undefined {
    return this.#nextLsn === 0 ? undefined : this.#nextLsn;
  }

  /**
   * Where another tail can continue after the records that this one has returned; `undefined` before the first
   * `advance()` that found the log, and as long as the log does not reach the first LSN requested.
   */
  get resumePoint(): ResumePoint | undefined {
    const lastRead = this.#lastRead;
    return lastRead !== undefined && lastRead.lsn + 1 === this.#nextLsn ? resumePointOf(lastRead) : undefined;
  }

  /** Everything up to this LSN is proven to survive a crash by what was read; 0 when nothing is. */
  get provenLsn(): Lsn {
    return Math.max(this.#provenLsn, this.#active?.provenLsn ?? 0);
  }

  /**
   * The next record of those that `advance()` found; `undefined` when it has to be called again.
   *
   * @throws `WAL_BAD_KEY`, `WAL_CORRUPT`, `WAL_TOO_LARGE`, `WAL_UNSUPPORTED` when the record cannot be decoded: it
   * stays the next one
   */
  next(): WalRecord | undefined {
    const frames = this.#scanner?.frames;
    const decoder = this.#decoder;
    if (frames === undefined || decoder === undefined || this.#mustRelocate) return undefined;
    try {
      while (frames.nextLsn <= this.#until && frames.next()) {
        if (frames.isMark || frames.lsn < this.#nextLsn) continue;
        if (this.#matches?.(frames) === false) {
          this.#skip(frames);
          continue;
        }
        const record = decodeRecord(frames, decoder, this.#copy);
        this.#nextLsn = record.lsn + 1;
        return record;
      }
      frames.checkRead();
    } catch (error) {
      this.#mustRelocate = true;
      throw error;
    }
    return undefined;
  }

  /** Skips a record that is not requested. @throws `WAL_CORRUPT` when its fields could not be read */
  #skip(frames: Frames): void {
    frames.checkRead();
    this.#nextLsn = frames.lsn + 1;
  }

  /** Takes back the record that `next()` returned last, before any other call: it is the next one again. */
  putBack(): void {
    this.#nextLsn--;
    this.#mustRelocate = true;
  }

  /**
   * To be called at the moment when the end of the log is cut off: every record after `lastLsn` is gone, and none of
   * them is returned from then on.
   */
  cutAfter(lastLsn: Lsn): void {
    this.#reportedCut = { lsn: Math.min(lastLsn, this.#reportedCut?.lsn ?? lastLsn) };
    this.#mustRelocate = true;
  }

  /**
   * Looks for further records.
   *
   * @returns `false` when there is nothing more to read yet; `true` when `next()` may return records
   * @throws `WAL_TRUNCATED` with `firstLsn` when the next record was removed, and with `reason` `'cut-back'` when
   * something was cut off that had been returned, or was before the resume point: what was read from `lsn` on is no
   * longer in the log; `lsn` is 1 when it is not known how much that is. `WAL_CORRUPT` when something acknowledged
   * cannot be read; `WAL_NOT_FOUND` when there is no log; `WAL_CLOSED`; `WAL_STATE` while another call is in progress,
   * which continues. After an error another call tries again from the same record
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
      return yield* this.#findRecords();
    } catch (error) {
      this.#closeScanner();
      throw error;
    } finally {
      this.#isAdvancing = false;
      if (this.#isClosed) this.#closeScanner();
    }
  }

  *#findRecords(): IoRoutine<boolean> {
    for (;;) {
      if (this.#isClosed) throw closed(this.#directory);
      if (this.#mustRelocate) this.#closeScanner();
      if (this.#scanner === undefined) {
        yield* this.#begin();
        continue;
      }
      if (this.#active === undefined) this.#until = Math.min(this.#lastOfSealed, this.#upTo());
      const { frames } = this.#scanner;
      if (frames.nextLsn <= this.#until && (frames.hasMore || (yield* this.#scanner.fill()))) return true;
      if (this.#active !== undefined) {
        // A record that was readable a moment ago and is not now is searched for like one that is not written yet.
        const isAway = frames.nextLsn <= this.#until;
        if (yield* this.#lookAgain(this.#active)) continue;
        if (!isAway || this.#mustRelocate) return false;
        this.#mustRelocate = true;
      } else if (frames.nextLsn > this.#lastOfSealed) {
        yield* this.#enter(this.#links.slice(1));
      } else if (frames.nextLsn <= this.#until) {
        yield* this.#relocate(this.#lost(frames.end, frames.nextLsn));
      } else return false;
    }
  }

  /**
   * Ends the reading and closes its file, once a call in progress no longer needs it. Waiting for a key service ends at
   * once. Idempotent.
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

  /** Finds the segment that contains the next record. */
  *#begin(): IoRoutine<void> {
    const known = this.#known;
    const cut = this.#reportedCut;
    this.#mustRelocate = false;
    const from = this.#nextLsn === 0 ? this.#from : this.#nextLsn;
    const check = (seen: readonly Link[]): IoRoutine<void> => this.#checkKnown(seen);
    const { links } = yield* readChainFrom(this.#io, this.#directory, from, known?.number, check);
    if (this.#reportedCut === cut) this.#reportedCut = undefined;
    const [first, second] = links as [Link, ...Link[]];
    if (from === 'first') this.#nextLsn = first.header.firstLsn;
    const isBehind = second !== undefined && first.header.firstLsn < this.#nextLsn;
    this.#knownWasSeen = true;
    this.#known ??= isBehind ? lastReadIn(first, this.#nextLsn - 1) : lastReadBefore(first);
    yield* this.#enter(links);
  }

  /** The last record read, which is before the next one to return. */
  get #lastRead(): LastRead | undefined {
    const known = this.#known;
    const frames = this.#scanner?.frames;
    if (known === undefined || frames === undefined) return known;
    const lsn = Math.min(frames.nextLsn, this.#nextLsn) - 1;
    return lsn > known.lsn ? lastReadIn(this.#links[0] as Link, lsn) : known;
  }

  /** @throws `WAL_TRUNCATED` when something that was read has been cut off */
  *#checkKnown(links: readonly Link[]): IoRoutine<void> {
    const lastRead = this.#lastRead;
    if (lastRead === undefined) return;
    const lsn = this.#findCut(links, lastRead);
    if (lsn === undefined) return;
    const { links: all } = yield* readChainBesideWriter(this.#io, this.#directory, () => false);
    // More may have been cut off meanwhile.
    const again = this.#findCut(all, lastRead) ?? lsn;
    throw cutBack(Math.min(lsn, again), lastRead.lsn, (all[0] as Link).header.firstLsn);
  }

  /** The first LSN of what was read that was cut off, according to the writer or the chain; `undefined` when none was. */
  #findCut(links: readonly Link[], lastRead: LastRead): Lsn | undefined {
    const reported =
      this.#reportedCut === undefined || this.#reportedCut.lsn >= lastRead.lsn ? undefined : this.#reportedCut.lsn + 1;
    if (reported !== undefined && this.#knownWasSeen) return reported;
    const seen = findCut(links, lastRead);
    return reported === undefined || seen === undefined ? (reported ?? seen) : Math.min(reported, seen);
  }

  /** The last LSN of a segment that has a successor. */
  get #lastOfSealed(): Lsn {
    return (this.#links[1] as Link).header.firstLsn - 1;
  }

  /** Opens the first segment of `links` for reading. */
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
   * A segment that has its name proves everything before it durable. What frames of the previous newest segment had
   * proven beyond that was cut off.
   */
  #noteProven(links: readonly Link[]): void {
    const { firstLsn, segmentId } = (links.at(-1) as Link).header;
    const isSame = this.#newestId !== undefined && sameId(this.#newestId, segmentId);
    this.#provenLsn = isSame ? Math.max(this.#provenLsn, firstLsn - 1) : firstLsn - 1;
    this.#newestId = segmentId;
  }

  /** A segment could not be opened, perhaps because it was removed since the chain was read. */
  *#relocateUnlessThere(error: unknown): IoRoutine<void> {
    if (!WalError.is(error) || !GONE.has(error.code)) throw error;
    yield* this.#relocate(error);
  }

  /** Makes the decoder of a segment's records, and loads the segment's key. */
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
    this.#maxLsn = predates ? endLsn - 1 : Number.MAX_SAFE_INTEGER;
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
    const most = Math.min(active.visibleLsn, this.#maxLsn, this.#upTo());
    const until = Math.min(this.#durableOnly ? active.provenLsn : active.visibleLsn, most);
    const isNews = until > this.#until;
    // What was found may have been cut off before, which a later segment shows. No check is needed where cuts are
    // reported.
    if (!(isNews && this.#cutsAreReported) && (yield* this.#followRoll())) return true;
    if (isNews) {
      this.#until = until;
      active.resume();
    } else if (!grown) yield* this.#checkWhole(active, durableLsn);
    return isNews;
  }

  /** Whether the writer of the log reports cuts to {@link cutAfter}. */
  get #cutsAreReported(): boolean {
    return this.#durable !== noneDurable;
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
  *#readChain(): IoRoutine<ChainBesideWriter> {
    const number = Math.min((this.#links[0] as Link).header.number, this.#lastRead?.number ?? 0);
    return yield* readChainBesideWriter(this.#io, this.#directory, (link) => link.header.number <= number);
  }

  /** Continues in the chain as it is now. */
  *#continueIn(links: readonly Link[]): IoRoutine<void> {
    const { header } = this.#links[0] as Link;
    yield* this.#checkKnown(links);
    const next = links.find((link) => link.header.number > header.number);
    const own = links.findIndex((link) => sameId(link.header.segmentId, header.segmentId));
    const isLeft = own !== -1 && next !== undefined && this.#nextLsn < next.header.firstLsn;
    if (isLeft && this.#scanner !== undefined) yield* this.#continueSealed(this.#scanner, links.slice(own));
    else yield* this.#enter(links.slice(this.#indexOfNext(links)));
  }

  /** Reads the rest of a segment that has a successor now. */
  *#continueSealed({ frames }: FrameScanner, links: readonly Link[]): IoRoutine<void> {
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

  /** The index of the segment that contains the next record. */
  #indexOfNext(links: readonly Link[]): number {
    const index = links.findLastIndex((link) => link.header.firstLsn <= this.#nextLsn);
    if (index === -1) throw truncated(this.#nextLsn, (links[0] as Link).header.firstLsn);
    return index;
  }

  /** Throws when the bytes after the end of the newest segment, or its writer, prove that something is missing there. */
  *#checkWhole(active: ActiveTail, durableLsn: Lsn): IoRoutine<void> {
    let proof: string | undefined;
    if (active.nextLsn <= durableLsn) {
      // It may have become readable since.
      if (this.#mustRelocate || (yield* active.lookAgain())) return;
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

  #closeScanner(): void {
    this.#known = this.#lastRead;
    this.#provenLsn = this.provenLsn;
    this.#active?.close();
    this.#active = undefined;
    this.#scanner?.close();
    this.#scanner = undefined;
  }
}

/** The errors for a file that was removed, or is being reused. */
const GONE = new Set<string>(['WAL_NOT_FOUND', 'WAL_TRUNCATED', 'WAL_BAD_HEADER']);

const noLimit = (): Lsn => Number.MAX_SAFE_INTEGER;

const noneDurable = (): Lsn => 0;

function busy(directory: string): WalError {
  const what = `the tail of the log in ${directory} is looking for further records: wait for that call before the next one`;
  return new WalError('WAL_STATE', what, { path: directory, state: 'advancing' });
}

function closed(directory: string): WalError {
  return new WalError('WAL_CLOSED', `the tail of the log in ${directory} was closed: make another one`, {
    path: directory,
    state: 'closed',
  });
}
