import type { Lsn, PayloadDecoder } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import { isTurnDue, TURN } from '@walstack/storage-io/internal';
import { Sessions } from '../chain/sessions.js';
import type { FrameScanner } from '../frames/frame-scanner.js';
import type { Frames } from '../frames/frames.js';
import { type Hole, holeUpTo, inHole, type OnHole } from '../frames/holes.js';
import { decodeRecord } from '../records/decode-record.js';
import { RunCopies } from '../records/run-copies.js';
import { StoredFrames } from '../records/stored-record.js';
import { unlessTransferred } from '../records/transferred-away.js';
import type { WalRecord } from '../records/wal-record.js';

/**
 * What differs between the readers of a log: where the next segment is looked for, and what happens where a segment
 * cannot be read further. A policy has the walk, enters and leaves its segments, and sets `until`.
 */
export interface WalkPolicy {
  /** Called before each step. It may leave the segment, or change `until`. @throws what ends the walk */
  beforeStep(): void;
  /** Enters the segment with the next record. @returns `false` when there is none */
  enterNext(): IoRoutine<boolean>;
  /** Called when frames were found. */
  onFound?(frames: Frames): void;
  /**
   * The next record is one to be read, and cannot be: the policy throws, or enters a segment where it can be.
   *
   * @returns `false` when there is nothing to read now
   */
  onUnreadable(frames: Frames): IoRoutine<boolean>;
  /**
   * Every record up to `until` was read: the policy leaves the segment, enters the next one, or raises `until`.
   *
   * @returns `false` when there is nothing to read now
   */
  onEnd(frames: Frames): IoRoutine<boolean>;
}

/** After so many bytes it may be time for the turn of the event loop. */
export const BYTES_PER_LOOK = 64 * 1024;

/**
 * The way of a reader from segment to segment: the scanner of the segment that is being read, its decoder, and up to
 * where it is read. Every reader of a log walks like this; a {@link WalkPolicy} is what they differ in.
 *
 * ```ts
 * while (yield* walk.advance(policy)) for (let r = walk.next(); r; r = walk.next()) use(r);
 * ```
 */
export class SegmentWalk {
  /** The last LSN that is read from the current segment. */
  until: Lsn = 0;
  /** The last LSN of the current segment: what is behind it was cut off. */
  lastOfSegment: Lsn = Number.MAX_SAFE_INTEGER;
  /** The sessions of the current segment, as far as it was read. */
  sessions = new Sessions();
  #nextLsn: Lsn;
  readonly #copy: boolean;
  readonly #matches: ((frames: Frames) => boolean) | undefined;
  readonly #onHole: OnHole;
  #scanner: FrameScanner | undefined;
  #frames: Frames | undefined;
  #decoder: PayloadDecoder | undefined;
  /** The copies of the current segment's records. */
  #copies: RunCopies | undefined;
  /** Whether every record without flags is returned, as it is stored. */
  #takesPlain = false;
  /** The frames, once every following record without flags is returned as it is stored. */
  #plain: Frames | undefined;
  /** With which records are returned as they are stored; `undefined` when they are decoded. */
  readonly #stored: StoredFrames | undefined;
  /** The position in the segment at which the clock is looked at next. */
  #lookAt = 0;
  /** Bytes of decoded payloads until then: they may be many more than those of the segment. */
  #bytesToLook = BYTES_PER_LOOK;
  /** Whether a turn of the event loop is due before the next record. */
  #isPaused = false;
  /** Why the next record could not be returned, which the frames have passed. Kept until the segment is left. */
  #failure: { readonly error: unknown } | undefined;

  /**
   * @param from - the first LSN to return
   * @param copy - return copies of meta and payload
   * @param matches - whether to return the current record; called before it is decoded
   * @param onHole - what happens where records are lost
   * @param stored - return records as they are stored
   */
  constructor(
    from: Lsn,
    copy: boolean,
    matches: ((frames: Frames) => boolean) | undefined,
    onHole: OnHole,
    stored = false,
  ) {
    this.#nextLsn = from;
    this.#stored = stored ? new StoredFrames() : undefined;
    this.#copy = copy && !stored;
    this.#matches = matches;
    this.#onHole = onHole;
  }

  /** The first LSN that was not returned yet: records before it are skipped. */
  get nextLsn(): Lsn {
    return this.#nextLsn;
  }

  set nextLsn(lsn: Lsn) {
    this.#nextLsn = lsn;
    this.#plain = undefined;
  }

  /** The frames that `advance()` found; `undefined` between two segments. */
  get frames(): Frames | undefined {
    return this.#frames;
  }

  /** The scanner of the current segment. */
  get scanner(): FrameScanner | undefined {
    return this.#scanner;
  }

  /** The decoder of the current segment's records. */
  get decoder(): PayloadDecoder {
    return this.#decoder as PayloadDecoder;
  }

  /** Whether a record could not be returned. A policy that can read it in another way leaves the segment. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /**
   * The next record in memory; `undefined` when `advance()` has to read further.
   *
   * @throws what decoding throws, `WAL_STATE` where memory that cannot be restored was transferred away; from then on every call of this
   * and of `advance()` throws it, until the segment is left
   */
  next(): WalRecord | undefined {
    const plain = this.#plain;
    if (plain?.nextOfRun(this.until) !== true) return this.#search();
    if (plain.position >= this.#lookAt) this.#look(plain);
    return this.#take(plain);
  }

  /**
   * Records that are long take long: to decompress, and for their reader to decode. Loops over records look at the clock at every
   * 128th only, as long as they are short.
   */
  #look({ position }: Frames): void {
    this.#bytesToLook = BYTES_PER_LOOK;
    this.#lookAt = position + BYTES_PER_LOOK;
    if (!isTurnDue()) return;
    this.#isPaused = true;
    this.#plain = undefined;
  }

  /** The current record, which is returned as it is stored. */
  #take(frames: Frames): WalRecord {
    try {
      const copies = this.#copies;
      const record =
        copies === undefined
          ? frames.plainRecord()
          : (copies.record(frames) ?? decodeRecord(frames, this.decoder, true));
      this.#nextLsn = record.lsn + 1;
      return record;
    } catch (error) {
      if (this.#isRestored(error)) return this.#take(frames);
      throw this.#failed(error);
    }
  }

  /** Whether reading the memory has failed as it was transferred away, and it was restored. */
  #isRestored(error: unknown): boolean {
    return error instanceof TypeError && this.restore();
  }

  #step(frames: Frames): boolean {
    try {
      return frames.next();
    } catch (error) {
      if (this.#isRestored(error)) return frames.next();
      throw error;
    }
  }

  /** @param isAgain - from the current frame on: its memory was restored */
  #search(isAgain = false): WalRecord | undefined {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#isPaused) return undefined;
    try {
      return this.#find(isAgain);
    } catch (error) {
      if (this.#isRestored(error)) return this.#search(true);
      throw this.#failed(error);
    }
  }

  #failed(reason: unknown): unknown {
    const error = unlessTransferred(reason, this.#frames);
    this.#failure = { error };
    this.#plain = undefined;
    return error;
  }

  /** Steps to the next record to be returned, by each of its fields. */
  #find(isAgain: boolean): WalRecord | undefined {
    const frames = this.#frames;
    const decoder = this.#decoder;
    if (frames === undefined || decoder === undefined) return undefined;
    for (let isThere = isAgain; isThere || (frames.nextLsn <= this.until && this.#step(frames)); isThere = false) {
      if (frames.isMark) {
        this.passMark(frames);
        this.#stored?.passMark(frames);
        continue;
      }
      if (frames.lsn < this.#nextLsn) {
        this.#stored?.skip();
        continue;
      }
      if (this.#matches !== undefined) {
        const isMatch = this.#matches(frames);
        // The function of the application may have ended the reading.
        if (this.#frames !== frames) return undefined;
        if (!isMatch) {
          this.#skip(frames);
          continue;
        }
      }
      const record = this.#stored?.record(frames) ?? decodeRecord(frames, decoder, this.#copy);
      this.#nextLsn = record.lsn + 1;
      if (this.#takesPlain) this.#plain = frames;
      this.#bytesToLook -= record.payload.length;
      if (this.#bytesToLook <= 0 || frames.position >= this.#lookAt) this.#look(frames);
      return record;
    }
    frames.checkRead();
    return undefined;
  }

  /** Passes a frame that is no record. @throws `WAL_HOLE` where records to be read are lost, unless they are skipped */
  passMark(frames: Frames): void {
    const { hole } = frames;
    if (hole === undefined) this.sessions.note(frames.record);
    else this.passHole(frames, hole);
  }

  /** Passes a hole at the current frame. @throws `WAL_HOLE` like {@link passMark} */
  passHole({ path, position }: Frames, hole: Hole): void {
    const lost = holeUpTo(hole, this.lastOfSegment);
    if (lost === undefined || lost.lastLsn < this.#nextLsn) return;
    if (this.#onHole === 'throw') throw inHole(path, position, lost);
    this.#nextLsn = lost.lastLsn + 1;
  }

  /** Skips a record that is not requested. @throws `WAL_CORRUPT` when its fields could not be read */
  #skip(frames: Frames): void {
    frames.checkRead();
    this.#nextLsn = frames.lsn + 1;
  }

  /**
   * Reads further, from segment to segment.
   *
   * @returns whether there may be further records in memory; `false` when there is nothing to read, or not yet
   * @throws what the policy throws, and {@link next} has thrown
   */
  *advance(policy: WalkPolicy): IoRoutine<boolean> {
    if (this.#isPaused) {
      this.#isPaused = false;
      if (isTurnDue()) yield TURN;
    }
    for (;;) {
      policy.beforeStep();
      if (this.#failure !== undefined) throw this.#failure.error;
      const scanner = this.#scanner;
      if (scanner === undefined) {
        if (!(yield* policy.enterNext())) return false;
        continue;
      }
      const { frames } = scanner;
      const hasNext = frames.nextLsn <= this.until;
      if (hasNext && (frames.hasMore || (yield* scanner.fill()))) {
        policy.onFound?.(frames);
        return true;
      }
      if (!(yield* hasNext ? policy.onUnreadable(frames) : policy.onEnd(frames))) return false;
    }
  }

  /**
   * Reads a segment from now on, by a scanner that is closed with it.
   *
   * @param sessions - those before the frame with which the scanner begins
   */
  enter(scanner: FrameScanner, decoder: PayloadDecoder, sessions = new Sessions()): void {
    this.leave();
    this.sessions = sessions;
    this.lastOfSegment = Number.MAX_SAFE_INTEGER;
    this.#lookAt = 0;
    this.#scanner = scanner;
    this.#frames = scanner.frames;
    this.#decoder = decoder;
    this.#copies = this.#copy ? new RunCopies() : undefined;
    this.#stored?.enter(scanner.frames.header);
    this.#takesPlain = this.#stored === undefined && this.#matches === undefined && !decoder.transforms(0);
  }

  /** Closes the current segment. Idempotent. */
  leave(): void {
    this.#scanner?.close();
    this.#scanner = undefined;
    this.#frames = undefined;
    this.#plain = undefined;
    this.#failure = undefined;
  }

  /** Restores memory whose buffer was transferred away. @returns whether that was the case */
  restore(): boolean {
    return this.#scanner?.restore?.() ?? false;
  }
}
