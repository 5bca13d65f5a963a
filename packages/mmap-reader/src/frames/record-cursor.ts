import { type Lsn, type PayloadDecoder, type RecordContent, type RecordScope, WalError } from '@walstack/codec';
import { decodeRecord } from './decode-record.js';
import type { Frames } from './frames.js';
import type { WalRecord } from './wal-record.js';

/**
 * Why there are no further records: `'end'`, nothing but zeros is behind the last one; `'bad-frame'`, what stands there is
 * no frame of this segment; or a frame whose checksum is right, with an LSN or fields that cannot stand there.
 */
export type StopReason =
  | 'end'
  | 'bad-frame'
  | 'wrong-lsn'
  | 'impossible-fields'
  | 'unknown-flags'
  | 'unknown-codec'
  | 'closed';

/** Where the records of a cursor come from. */
export interface CursorSource {
  /** Finds more frames; `undefined` when there are none, or none yet. */
  advance(): Frames | undefined;
  /** The last LSN that is read from the present frames. */
  readonly until: Lsn;
  /** What decodes the records of the present frames. */
  readonly decoder: PayloadDecoder;
  /** Gets memory again that was moved away. @returns whether that was so */
  restore(): boolean;
  /**
   * Why there are no further records; `undefined` when there will be.
   *
   * @param error - of the step to a frame that cannot be there
   */
  stopReason(error: WalError | undefined): StopReason | undefined;
  /** Nothing reads on. */
  close(): void;
}

/**
 * Steps from record to record without making anything for one: what is asked for is read from the memory that the record
 * is in. Meta and payload are views of it, made when they are asked for; those of records that are compressed or encrypted
 * are decoded then.
 *
 * ```ts
 * while (cursor.next()) if (cursor.type === 7) use(cursor.payload);
 * ```
 */
export class RecordCursor {
  readonly #source: CursorSource;
  readonly #types: ReadonlySet<number> | undefined;
  #frames: Frames | undefined;
  #decoder: PayloadDecoder | undefined;
  /** Whether meta and payload of a record without flags are what stands in the file. */
  #takesPlain = false;
  #until: Lsn = 0;
  #stopReason: StopReason | undefined;

  /**
   * For what makes cursors.
   *
   * @param types - of the records to stop at; all when it is not given
   */
  constructor(source: CursorSource, types?: ReadonlySet<number>) {
    this.#source = source;
    this.#types = types;
  }

  /**
   * Steps to the next record. The checksum of each was verified by then.
   *
   * @returns `false` when there is none, and from then on: see {@link stopReason}
   * @throws `WAL_IO_FAILED` when the disk cannot read, `WAL_CORRUPT` when the file was cut meanwhile
   */
  next(): boolean {
    const frames = this.#frames;
    if (frames !== undefined && this.#types === undefined && frames.nextOfRun(this.#until)) return true;
    return this.#search();
  }

  /** Why there are no further records; `undefined` while there may be. */
  get stopReason(): StopReason | undefined {
    return this.#stopReason;
  }

  get lsn(): Lsn {
    return this.#frames?.lsn ?? 0;
  }

  /** The application's own number. */
  get type(): number {
    return this.#frames?.type ?? 0;
  }

  /** Bits of codec's `RecordFlag`. */
  get flags(): number {
    return this.#frames?.flags ?? 0;
  }

  /** In bytes. */
  get metaLength(): number {
    return this.#frames?.metaLength ?? 0;
  }

  /** In bytes, as it is stored: of a compressed payload, compressed. */
  get payloadLength(): number {
    return this.#frames?.payloadLength ?? 0;
  }

  /** When it was appended, milliseconds since the Unix epoch, by the clock of the writer. */
  get timestampMs(): number {
    return this.#frames?.timestampMs ?? 0;
  }

  /** Whose record it is; `undefined` for a record without scope. Made when it is asked for. */
  get scope(): RecordScope | undefined {
    return this.#frames?.scope;
  }

  /** Position of the record's frame in its file. */
  get offset(): number {
    return this.#frames?.position ?? 0;
  }

  /** A view of the meta; see {@link payload}. */
  get meta(): Uint8Array {
    const frames = this.#frames;
    if (frames === undefined) return new Uint8Array(0);
    try {
      return this.#takesPlain && frames.isPlain ? frames.meta() : this.#decoded(frames).meta;
    } catch (error) {
      return this.#again(error, this.#decoded).meta;
    }
  }

  /**
   * A view of the payload, or what was decoded.
   *
   * @throws `WAL_BAD_KEY`, `WAL_CORRUPT`, `WAL_TOO_LARGE`, `WAL_UNSUPPORTED` when it cannot be decoded
   */
  get payload(): Uint8Array {
    const frames = this.#frames;
    if (frames === undefined) return new Uint8Array(0);
    try {
      return this.#takesPlain && frames.isPlain ? frames.payload() : this.#decoded(frames).payload;
    } catch (error) {
      return this.#again(error, this.#decoded).payload;
    }
  }

  /**
   * The record as an object.
   *
   * @param copy - copies of meta and payload, in place of views. Default `false`
   */
  record(copy = false): WalRecord | undefined {
    const frames = this.#frames;
    if (frames === undefined) return undefined;
    try {
      return decodeRecord(frames, this.#decoder as PayloadDecoder, copy);
    } catch (error) {
      return this.#again(error, (again) => decodeRecord(again, this.#decoder as PayloadDecoder, copy));
    }
  }

  /** Ends the reading before the end. Idempotent. */
  close(): void {
    this.#stopReason ??= 'closed';
    this.#until = 0;
    this.#frames = undefined;
    this.#source.close();
  }

  /** Closes the cursor: {@link close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Reads once more when a view was moved away, and its memory with it. */
  #again<T>(error: unknown, read: (frames: Frames) => T): T {
    if (error instanceof TypeError && this.#frames !== undefined && this.#source.restore()) {
      return read.call(this, this.#frames);
    }
    throw error;
  }

  #decoded(frames: Frames): RecordContent {
    const decoder = this.#decoder as PayloadDecoder;
    if (decoder.transforms(frames.flags)) return frames.decode(decoder);
    return { meta: frames.meta(), payload: frames.payload() };
  }

  /** Steps on until there is a record that is wanted. */
  #search(): boolean {
    for (;;) {
      const frames = this.#frames;
      if (frames === undefined || frames.nextLsn > this.#until || !this.#step(frames)) {
        if (frames !== undefined) this.#checkRead(frames);
        if (!this.#advance()) return false;
      } else if (!frames.isMark && (this.#types === undefined || this.#types.has(frames.type))) return true;
    }
  }

  /** Steps within the memory; gets it again when a view of it was moved away. */
  #step(frames: Frames): boolean {
    try {
      return frames.next();
    } catch (error) {
      if (error instanceof TypeError && this.#source.restore()) return frames.next();
      if (!WalError.is(error)) throw error;
      this.#stopReason = this.#source.stopReason(error);
      frames.stopHere();
      return false;
    }
  }

  #checkRead(frames: Frames): void {
    try {
      frames.checkRead();
    } catch (error) {
      this.#source.stopReason(error as WalError);
      throw error;
    }
  }

  #advance(): boolean {
    if (this.#stopReason !== undefined) return false;
    const frames = this.#source.advance();
    if (frames === undefined) {
      this.#stopReason = this.#source.stopReason(undefined);
      return false;
    }
    this.#frames = frames;
    this.#until = this.#source.until;
    this.#decoder = this.#source.decoder;
    this.#takesPlain = !this.#decoder.transforms(0);
    return true;
  }
}
