import {
  checkBoolean,
  checkInteger,
  checkLsn,
  checkOptions,
  checkPath,
  type DecodingOptions,
  invalidType,
  KeyRing,
  type Lsn,
  PayloadDecoder,
  parseSegmentFileName,
  WalError,
} from '@walstack/codec';
import { type IoRoutine, runAsync, runSync, type StorageIo } from '@walstack/storage-io';
import { ActiveTail } from './active-tail.js';
import type { Link } from './chain.js';
import { type ChainBesideWriter, readChainBesideWriter, readChainFrom } from './chain-beside-writer.js';
import { cutBack, lostRecord, truncated } from './corruption.js';
import type { FrameScanner } from './frame-scanner.js';
import { loadKeys } from './load-keys.js';
import { materialize } from './materialize.js';
import { openSealed, openStreamed } from './open-scanner.js';
import { sameId } from './segment.js';
import type { WalRecord } from './wal-record.js';

/** How a {@link LogTail} reads. */
export interface LogTailOptions {
  /** The first LSN wanted, which may be one that was not given out yet; `'first'`, the default, is the first one kept. */
  readonly from?: Lsn | 'first';
  /**
   * Only records that survive a crash: those which a later group or a mark proves durable, so that the last ones come
   * when the log has been quiet for a moment, or goes on. Default `false`: everything that was handed to the operating
   * system, of which a crash may take the last ones back.
   */
  readonly durableOnly?: boolean;
  /**
   * Asked for the last LSN that may be given out now, by who knows what is durable without proof, as the writer does.
   * Batches are given out whole: it is to be the last record of one. Default: no such limit.
   */
  readonly upTo?: () => Lsn;
  /**
   * Give out copies of meta and payload, which stay as they are; those of up to 2 KiB may share a buffer of 8 KiB, as Node's
   * own small buffers do. With `false` they are views and good only until the next record is asked for. Default `true`.
   */
  readonly copy?: boolean;
  /** The keys of encrypted segments. */
  readonly keyRing?: KeyRing | undefined;
  /** Take what is not encrypted behind what is, though there is a key ring. Default `false`. */
  readonly allowPlaintext?: boolean;
  /** The longest payload that is decompressed, in bytes. Default 64 MiB. */
  readonly maxPayloadBytes?: number;
}

const OPTIONS: readonly (keyof LogTailOptions)[] = [
  'from',
  'durableOnly',
  'upTo',
  'copy',
  'keyRing',
  'allowPlaintext',
  'maxPayloadBytes',
];

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
  readonly #copy: boolean;
  readonly #decoding: DecodingOptions;
  /** The chain as it was seen last, from the segment that is being read on. */
  #links: readonly Link[] = [];
  /** What is read from: a segment that has a successor, or the newest one. */
  #scanner: FrameScanner | undefined;
  #active: ActiveTail | undefined;
  #decoder: PayloadDecoder | undefined;
  /** Whether a segment before the present one is encrypted. */
  #sawEncrypted = false;
  /** Whether the present step blocks its thread. */
  #blocking = false;
  /** The last LSN that is given out from the present segment now. */
  #until: Lsn = 0;
  /** The first LSN that was not given out yet; 0 until it is known. */
  #nextLsn: Lsn;
  /** The last one that was; 0 when none was. */
  #givenLsn: Lsn = 0;
  #provenLsn: Lsn = 0;
  #isClosed = false;

  /**
   * @param io - a backend on which the log is; it is not ended with the tail
   * @param directory - of the log
   */
  constructor(io: StorageIo, directory: string, options: LogTailOptions = {}) {
    const {
      from = 'first',
      durableOnly = false,
      upTo = noLimit,
      copy = true,
      keyRing,
      allowPlaintext = false,
      maxPayloadBytes = 64 * 1024 * 1024,
    } = checkOptions('options', options, OPTIONS);
    if (typeof upTo !== 'function') throw invalidType('upTo', 'a function', upTo);
    this.#io = io;
    this.#directory = checkPath('directory', directory);
    this.#from = from === 'first' ? from : checkLsn('from', from);
    this.#nextLsn = from === 'first' ? 0 : from;
    this.#durableOnly = checkBoolean('durableOnly', durableOnly);
    this.#upTo = upTo;
    this.#copy = checkBoolean('copy', copy);
    if (keyRing !== undefined && !(keyRing instanceof KeyRing)) throw invalidType('keyRing', 'a KeyRing', keyRing);
    this.#decoding = {
      keyRing,
      allowPlaintext: checkBoolean('allowPlaintext', allowPlaintext),
      maxPayloadBytes: checkInteger('maxPayloadBytes', maxPayloadBytes),
    };
  }

  /** The LSN of the record that comes next; `undefined` before the first `advance()` that found the log. */
  get nextLsn(): Lsn | undefined {
    return this.#nextLsn === 0 ? undefined : this.#nextLsn;
  }

  /** Everything up to this LSN is proven to survive a crash by what was read; 0 while nothing is. */
  get provenLsn(): Lsn {
    return Math.max(this.#provenLsn, this.#active?.provenLsn ?? 0);
  }

  /** The next record of those that `advance()` found; `undefined` when it has to be called again. */
  next(): WalRecord | undefined {
    const frames = this.#scanner?.frames;
    const decoder = this.#decoder;
    if (frames === undefined || decoder === undefined) return undefined;
    while (frames.nextLsn <= this.#until && frames.next()) {
      if (frames.isMark || frames.lsn < this.#nextLsn) continue;
      const record = materialize(frames, decoder, this.#copy);
      this.#givenLsn = record.lsn;
      this.#nextLsn = record.lsn + 1;
      return record;
    }
    return undefined;
  }

  /**
   * Looks for further records.
   *
   * @returns `false` when there is nothing more to read yet; `true` when `next()` may have some
   * @throws `WAL_TRUNCATED` with `firstLsn` when the record that comes next was removed, and with `reason` `'cut-back'`
   * when the log was cut off behind an LSN below those given out: what was read from `lsn` on is not in the log any more.
   * `WAL_CORRUPT` where something acknowledged cannot be read; `WAL_NOT_FOUND` where there is no log; `WAL_CLOSED`
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

  /** {@link advance} as an I/O routine. Not to be begun before the one before has ended. */
  *advancing(): IoRoutine<boolean> {
    for (;;) {
      if (this.#isClosed) throw closed(this.#directory);
      if (this.#scanner === undefined) {
        yield* this.#begin();
        continue;
      }
      if (this.#active === undefined) this.#until = Math.min(this.#lastOfSealed, this.#upTo());
      const { frames } = this.#scanner;
      if (frames.nextLsn <= this.#until && (frames.hasMore || (yield* this.#scanner.fill()))) return true;
      if (this.#active !== undefined) {
        if (!(yield* this.#lookAgain(this.#active))) return false;
      } else if (frames.nextLsn > this.#lastOfSealed) {
        yield* this.#enter(this.#links.slice(1));
      } else if (frames.nextLsn <= this.#until) {
        yield* this.#relocate(this.#lost(frames.end, frames.nextLsn));
      } else return false;
    }
  }

  /** Ends the reading and closes its file. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#closeScanner();
  }

  /** Closes the tail: {@link close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Finds the segment that holds the first record. */
  *#begin(): IoRoutine<void> {
    const from = this.#from;
    const { links, followsEncrypted } = yield* readChainFrom(this.#io, this.#directory, from, this.#decoding);
    const first = links[0] as Link;
    this.#sawEncrypted = followsEncrypted;
    this.#nextLsn = from === 'first' ? first.header.firstLsn : from;
    yield* this.#enter(links);
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
    // That a segment has its name proves everything before it durable.
    this.#provenLsn = Math.max(this.#provenLsn, (successor ?? link).header.firstLsn - 1);
    yield* this.#prepareDecoder(link);
    try {
      if (successor !== undefined) this.#scanner = yield* openSealed(this.#io, link);
      else yield* this.#enterNewest(link);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NOT_FOUND') && !WalError.is(error, 'WAL_TRUNCATED')) throw error;
      yield* this.#relocate(error);
    }
  }

  /** What decodes the records of a segment, its key at hand. */
  *#prepareDecoder({ path, header }: Link): IoRoutine<void> {
    if (header.encrypted) yield* loadKeys(this.#decoding.keyRing, [header.keyId], this.#blocking);
    const followsEncrypted = this.#sawEncrypted;
    this.#sawEncrypted ||= header.encrypted;
    this.#decoder = new PayloadDecoder(header, path, { ...this.#decoding, followsEncrypted });
  }

  *#enterNewest(link: Link): IoRoutine<void> {
    const reader = yield* openStreamed(this.#io, link);
    this.#scanner = reader;
    this.#until = link.header.firstLsn - 1;
    const probe = yield* openStreamed(this.#io, link);
    this.#active = new ActiveTail(this.#io, reader, probe, this.#provenLsn);
  }

  /** At the end of the newest segment. @returns whether there is something new */
  *#lookAgain(active: ActiveTail): IoRoutine<boolean> {
    const grown = yield* active.lookAgain();
    const until = Math.min(this.#durableOnly ? active.provenLsn : active.visibleLsn, active.visibleLsn, this.#upTo());
    if (until > this.#until) {
      this.#until = until;
      active.resume();
      return true;
    }
    if (yield* this.#followRoll()) return true;
    if (!grown) yield* this.#checkWhole(active);
    return false;
  }

  /** Whether a later segment has its name: then everything in this one is there, and it is read again to its end. */
  *#followRoll(): IoRoutine<boolean> {
    const { header } = this.#links[0] as Link;
    if (newestNumber(this.#io.list(this.#directory)) <= header.number) return false;
    const { links } = yield* this.#readChain();
    if ((links.at(-1) as Link).header.number <= header.number) return false;
    yield* this.#goTo(links);
    return true;
  }

  /**
   * What is being read cannot be read on. When the log was truncated or cut meanwhile, that is why, or there is another
   * segment to go on in; else it is an error.
   */
  *#relocate(error: unknown): IoRoutine<void> {
    const own = this.#links[0] as Link;
    const { links } = yield* this.#readChain();
    const isThere = links.some((link) => sameId(link.header.segmentId, own.header.segmentId));
    if (isThere && links.length === this.#links.length) throw error;
    yield* this.#goTo(links);
  }

  /** The chain from the segment that is being read on, or from the oldest one. */
  *#readChain(): IoRoutine<ChainBesideWriter> {
    const { number } = (this.#links[0] as Link).header;
    return yield* readChainBesideWriter(this.#io, this.#directory, (link) => link.header.number <= number);
  }

  /** Goes on in a chain as it is now. */
  *#goTo(links: readonly Link[]): IoRoutine<void> {
    const { header } = this.#links[0] as Link;
    const next = links.find((link) => link.header.number > header.number);
    if (next !== undefined && next.header.firstLsn <= this.#givenLsn) {
      throw cutBack(next.header.firstLsn, this.#givenLsn);
    }
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
    this.#provenLsn = Math.max(this.#provenLsn, this.#lastOfSealed);
    this.#scanner = yield* openSealed(this.#io, links[0] as Link, range);
  }

  /** Which segment holds the record that comes next. */
  #indexOfNext(links: readonly Link[]): number {
    const index = links.findLastIndex((link) => link.header.firstLsn <= this.#nextLsn);
    if (index === -1) throw truncated(this.#nextLsn, (links[0] as Link).header.firstLsn);
    return index;
  }

  /** What stands behind the end of the newest segment may prove that something is missing there. */
  *#checkWhole(active: ActiveTail): IoRoutine<void> {
    const proof = active.isEvidenceDue ? yield* active.evidence() : undefined;
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
    this.#provenLsn = this.provenLsn;
    this.#active?.close();
    this.#active = undefined;
    this.#scanner?.close();
    this.#scanner = undefined;
  }
}

/** The highest segment number among the names in a directory; 0 when there is none. */
function newestNumber(names: readonly string[]): number {
  return names.reduce((most, name) => Math.max(most, parseSegmentFileName(name)?.number ?? 0), 0);
}

const noLimit = (): Lsn => Number.MAX_SAFE_INTEGER;

function closed(directory: string): WalError {
  return new WalError('WAL_CLOSED', `the tail of the log in ${directory} was closed: make another one`, {
    path: directory,
    state: 'closed',
  });
}
