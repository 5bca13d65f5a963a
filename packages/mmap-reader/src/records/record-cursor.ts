import { type Lsn, type PayloadDecoder, type RecordContent, type RecordScope, WalError } from '@walstack/codec';
import type { Frames } from '../frames/frames.js';
import { decodeRecord } from './decode-record.js';
import { unlessTransferred } from './transferred-away.js';
import type { WalRecord } from './wal-record.js';

/**
 * Why there are no further records: `'end'`, only zeros follow the last one; `'bad-frame'`, the following bytes are no
 * frame of this segment; or a frame with a valid checksum has an LSN or fields that cannot be there.
 */
export type StopReason =
  | 'end'
  | 'bad-frame'
  | 'wrong-lsn'
  | 'impossible-fields'
  | 'unknown-flags'
  | 'unknown-codec'
  | 'closed';

/** The source of a cursor's records. */
export interface CursorSource {
  /** Finds more frames; `undefined` when there are none, or none yet. */
  advance(): Frames | undefined;
  /** The last LSN that is read from the current frames. */
  readonly until: Lsn;
  /** The decoder for the records of the current frames. */
  readonly decoder: PayloadDecoder;
  /** Restores memory whose buffer was transferred away. @returns whether that was the case */
  restore(): boolean;
  /**
   * Why there are no further records; `undefined` when there will be.
   *
   * @param error - the error of the step to an invalid frame
   */
  stopReason(error: WalError | undefined): StopReason | undefined;
  /** The current frame is a mark or a hole. @throws `WAL_HOLE` where records to be read are lost, unless they are skipped */
  passMark(frames: Frames): void;
  /** So many bytes were decompressed, or decrypted. */
  decoded?(bytes: number): void;
  /** Ends the reading. */
  close(): void;
}

/**
 * Steps from record to record without allocating anything: fields are read from the record's memory when they are
 * accessed. Meta and payload are views of that memory, made on access; those of compressed or encrypted records are
 * decoded on access.
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
  /** Whether meta and payload of a record without flags can be used as they are in the file. */
  #takesPlain = false;
  #until: Lsn = 0;
  #stopReason: StopReason | undefined;

  private constructor(source: CursorSource, types: ReadonlySet<number> | undefined) {
    this.#source = source;
    this.#types = types;
  }

  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: `makeCursor` uses it.
  private static make(source: CursorSource, types?: ReadonlySet<number>): RecordCursor {
    return new RecordCursor(source, types);
  }

  /**
   * Steps to the next record, whose checksum is verified by then.
   *
   * @returns `false` when there is no further record: see {@link stopReason}
   * @throws `WAL_IO_FAILED` when the disk cannot read, `WAL_CORRUPT` when the file was cut meanwhile, `WAL_HOLE` where records are
   * lost, `WAL_STATE` when memory that cannot be restored was transferred away
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

  /** The record's type, a number of the application. */
  get type(): number {
    return this.#frames?.type ?? 0;
  }

  /** Bits of `RecordFlag` of `@walstack/codec`. */
  get flags(): number {
    return this.#frames?.flags ?? 0;
  }

  /** In bytes. */
  get metaLength(): number {
    return this.#frames?.metaLength ?? 0;
  }

  /** In bytes, as it is stored: for a compressed payload, the compressed length. */
  get payloadLength(): number {
    return this.#frames?.payloadLength ?? 0;
  }

  /** When it was appended, milliseconds since the Unix epoch, by the clock of the writer. */
  get timestampMs(): number {
    return this.#frames?.timestampMs ?? 0;
  }

  /** The ids of the record's owner; `undefined` for a record without scope. Made on access. */
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
   * A view of the payload, or the decoded payload.
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
   * @param copy - return copies of meta and payload instead of views. Default `false`
   */
  record(copy = false): WalRecord | undefined {
    const frames = this.#frames;
    if (frames === undefined) return undefined;
    try {
      const decoder = this.#decoder as PayloadDecoder;
      const record = decodeRecord(frames, decoder, copy);
      if (decoder.transforms(frames.flags)) this.#source.decoded?.(record.payload.length);
      return record;
    } catch (error) {
      return this.#again(error, (again) => decodeRecord(again, this.#decoder as PayloadDecoder, copy));
    }
  }

  /** Ends the reading early. Idempotent. */
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

  /** Reads once more when the buffer of the memory was transferred away. */
  #again<T>(error: unknown, read: (frames: Frames) => T): T {
    if (error instanceof TypeError && this.#frames !== undefined && this.#source.restore()) {
      return read.call(this, this.#frames);
    }
    throw unlessTransferred(error, this.#frames);
  }

  #decoded(frames: Frames): RecordContent {
    const decoder = this.#decoder as PayloadDecoder;
    if (decoder.transforms(frames.flags)) {
      const content = frames.decode(decoder);
      this.#source.decoded?.(content.payload.length);
      return content;
    }
    return { meta: frames.meta(), payload: frames.payload() };
  }

  /** Steps to the next record of a requested type. */
  #search(): boolean {
    for (;;) {
      const frames = this.#frames;
      if (frames === undefined || frames.nextLsn > this.#until || !this.#step(frames)) {
        if (frames !== undefined) this.#checkRead(frames);
        if (!this.#advance()) return false;
      } else if (frames.isMark) this.#source.passMark(frames);
      else if (this.#types === undefined || this.#types.has(frames.type)) return true;
    }
  }

  /** Steps within the memory; restores it when its buffer was transferred away. */
  #step(frames: Frames): boolean {
    try {
      return frames.next();
    } catch (error) {
      if (error instanceof TypeError && this.#source.restore()) return frames.next();
      if (!WalError.is(error)) throw unlessTransferred(error, frames);
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

/**
 * Makes a cursor, which only readers do.
 *
 * @param types - the types of records to stop at; all when it is missing
 */
export const makeCursor: (source: CursorSource, types?: ReadonlySet<number>) => RecordCursor = RecordCursor['make'];
