import type { Lsn, PayloadDecoder, WalError } from '@walstack/codec';
import { runSync } from '@walstack/storage-io';
import { isTurnDue } from '@walstack/storage-io/internal';
import type { Frames } from '../frames/frames.js';
import type { CursorSource, StopReason } from '../records/record-cursor.js';
import { BYTES_PER_LOOK } from '../walk/segment-walk.js';
import type { DirectoryReader } from './directory-reader.js';

/** All frames of a directory, piece by piece, for a cursor that reads further by itself. */
export class DirectorySource implements CursorSource {
  readonly #reader: DirectoryReader;
  #isOver = false;
  /** Why it ended too early: thrown again by later calls, which must not take that for the end. */
  #failure: { readonly error: unknown } | undefined;

  constructor(reader: DirectoryReader) {
    this.#reader = reader;
  }

  get until(): Lsn {
    return this.#reader.walk.until;
  }

  advance(): Frames | undefined {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#isOver) return undefined;
    const { io, walk } = this.#reader;
    try {
      if (runSync(io, this.#reader.advance())) return walk.frames;
      this.#reader.watch?.finish();
    } catch (error) {
      throw this.#failed(error);
    }
    this.close();
    return undefined;
  }

  get decoder(): PayloadDecoder {
    return this.#reader.walk.decoder;
  }

  restore(): boolean {
    return this.#reader.walk.restore();
  }

  stopReason(error: WalError | undefined): StopReason {
    if (error === undefined) return 'end';
    throw this.#failed(error);
  }

  passMark(frames: Frames): void {
    try {
      this.#reader.walk.passMark(frames);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  close(): void {
    this.#isOver = true;
    this.#reader.close();
  }

  #failed(error: unknown): unknown {
    this.#failure = { error };
    this.close();
    return error;
  }
}

/** The frames of the reader's current piece, for a cursor that does not read further. */
export class PieceSource implements CursorSource {
  readonly #reader: DirectoryReader;
  isFresh = false;
  /** Whether a turn of the event loop is due before the next record, as so much was decoded. */
  isTurnDue = false;
  /** Bytes to be decoded until the next look at the clock. */
  #bytesToLook = BYTES_PER_LOOK;

  constructor(reader: DirectoryReader) {
    this.#reader = reader;
  }

  get until(): Lsn {
    return this.#reader.walk.until;
  }

  advance(): Frames | undefined {
    if (!this.isFresh) return undefined;
    this.isFresh = false;
    return this.#reader.walk.frames;
  }

  get decoder(): PayloadDecoder {
    return this.#reader.walk.decoder;
  }

  restore(): boolean {
    return this.#reader.walk.restore();
  }

  stopReason(error: WalError | undefined): StopReason | undefined {
    if (error !== undefined) throw error;
    return undefined;
  }

  passMark(frames: Frames): void {
    this.#reader.walk.passMark(frames);
  }

  decoded(bytes: number): void {
    this.#bytesToLook -= bytes;
    if (this.#bytesToLook > 0) return;
    this.#bytesToLook = BYTES_PER_LOOK;
    this.isTurnDue = isTurnDue();
  }

  /** The replay closes the reader. */
  close(): void {}
}
