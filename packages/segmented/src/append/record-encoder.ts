import {
  CodecNumber,
  ENCRYPTION_TAG_BYTES,
  FRAME_HEADER_BYTES,
  type KeyRing,
  type Lsn,
  MARK_FRAME_BYTES,
  RecordFlag,
  recordFrameBytes,
  SCOPE_BYTES,
  type SegmentCipher,
  writeRecordHeader,
  writeScope,
} from '@walstack/codec';
import { invalidMemory, lengthOf } from '@walstack/codec/internal';
import { appendedMeanwhile, usedUp } from '../log-errors.js';
import type { Settings } from '../options.js';
import type { ActiveSegment } from '../segments/active-segment.js';
import type { FinalFailure } from '../write/final-failure.js';
import { ELAPSED_MS_MAX, type SegmentChain } from '../write/segment-chain.js';
import type { Watermarks } from '../write/watermarks.js';
import type { WriterCounters, WriterParts } from '../write/writer-parts.js';
import type { Arena } from './arena.js';
import type { CoarseClock } from './coarse-clock.js';
import { compressed, type RecordBody } from './record-body.js';

/** Encodes records into memory, in the order of their LSNs. Its checksums are filled in when a group is written. */
export class RecordEncoder {
  readonly #settings: Settings;
  readonly #clock: CoarseClock;
  readonly #arena: Arena;
  readonly #chain: SegmentChain;
  readonly #watermarks: Watermarks;
  readonly #failure: FinalFailure;
  readonly #counters: WriterCounters;
  readonly #throwUnlessWritable: () => void;

  constructor({ settings, clock, arena, chain, watermarks, failure, counters, throwUnlessWritable }: WriterParts) {
    this.#settings = settings;
    this.#clock = clock;
    this.#arena = arena;
    this.#chain = chain;
    this.#watermarks = watermarks;
    this.#failure = failure;
    this.#counters = counters;
    this.#throwUnlessWritable = throwUnlessWritable;
  }

  /**
   * Encodes a record. Neither written nor durable on return. If it throws, nothing was appended.
   *
   * @returns its LSN
   */
  append(given: RecordBody): Lsn {
    const { compressor } = this.#settings;
    const body = compressor === undefined ? given : compressed(given, compressor);
    const lsn = this.#watermarks.nextLsn;
    if (lsn === Number.MAX_SAFE_INTEGER) throw usedUp();
    const frameBytes = this.#frameBytesOf(body);
    const { active } = this.#chain;
    const now = this.#clock.cached;
    if (active !== undefined && now !== undefined) {
      const elapsedMs = now - active.header.createdAtMs;
      const offset = elapsedMs <= ELAPSED_MS_MAX ? this.#arena.follow(active, frameBytes) : -1;
      if (offset >= 0) {
        this.#encode(active, body, offset, frameBytes, 0, elapsedMs, true);
        return lsn;
      }
    }
    return this.#appendFirst(body, frameBytes);
  }

  /** Encodes the first record of a group, or of a segment. */
  #appendFirst(body: RecordBody, frameBytes: number): Lsn {
    const { nextLsn: lsn, generation } = this.#watermarks;
    const { keyRing } = this.#chain;
    // The clock and the random bytes of a new segment may be the application's functions, which may detach the record's
    // memory.
    const isClockRead = this.#clock.cached !== undefined;
    const now = this.#clock.read();
    const segment = this.#segmentFor(frameBytes, now);
    this.#requireSame(lsn, generation, keyRing);
    // In a segment that was closed the source of random bytes was called as well.
    const isSteady = isClockRead && segment === this.#chain.active && !segment.isClosed;
    const offset = this.#arena.place(segment, frameBytes);
    this.#encode(segment, body, offset, frameBytes, 0, now - segment.header.createdAtMs, isSteady);
    this.#chain.active = segment;
    this.#arena.followUpTo(this.#chain.roomEnd(segment));
    return lsn;
  }

  /**
   * Encodes the records of a batch into one segment and one chunk, which is written as a whole. So the durable LSN, which
   * moves from write to write, is never inside a batch. Neither written nor durable on return.
   *
   * @param given - at least one
   * @returns the LSN of the last one
   */
  appendBatch(given: readonly RecordBody[]): Lsn {
    const { nextLsn: lsn, generation } = this.#watermarks;
    const { keyRing } = this.#chain;
    const { length } = given;
    const lastLsn = lsn + length - 1;
    if (lastLsn >= Number.MAX_SAFE_INTEGER) throw usedUp();
    const { compressor } = this.#settings;
    const bodies = compressor === undefined ? given : given.map((body) => compressed(body, compressor));
    const bytes = this.#runBytesMost(bodies);
    const now = this.#clock.read();
    const segment = this.#segmentFor(bytes, now);
    this.#requireSame(lsn, generation, keyRing);
    if (given.length !== length) throw appendedMeanwhile(this.#settings.directory);
    const elapsedMs = now - segment.header.createdAtMs;
    this.#arena.makeRoom(segment, bytes);
    this.#chain.active = segment;
    try {
      for (const body of bodies) {
        const flags = this.#watermarks.nextLsn === lastLsn ? 0 : RecordFlag.batchContinues;
        const frameBytes = this.#frameBytesOf(body);
        this.#encode(segment, body, this.#arena.place(segment, frameBytes), frameBytes, flags, elapsedMs, true);
      }
    } catch (error) {
      // Not expected, as a batch owns copies of its bytes. But the records encoded so far must not remain without the
      // rest.
      throw this.#failure.fail(error);
    }
    return lastLsn;
  }

  #segmentFor(frameBytes: number, now: number): ActiveSegment {
    const { active } = this.#chain;
    return this.#chain.segmentFor(frameBytes, now, active === undefined ? 0 : this.#arena.nextOffset(active));
  }

  /**
   * Called behind the application's clock and source of random bytes, with what was the case before.
   *
   * @throws `WAL_STATE` when these have appended to the log, cut it or begun to, or set its key ring; `WAL_CLOSED` when they
   * have closed it
   */
  #requireSame(lsn: Lsn, generation: number, keyRing: KeyRing | undefined): void {
    this.#throwUnlessWritable();
    const { nextLsn, generation: present } = this.#watermarks;
    if (nextLsn !== lsn || present !== generation) throw appendedMeanwhile(this.#settings.directory);
    if (this.#chain.keyRing !== keyRing) throw appendedMeanwhile(this.#settings.directory);
  }

  /**
   * Encodes a record. It gets its LSN and its offset only when it is completely encoded, so that a failure leaves no gap.
   *
   * @param offset - its place in the memory of the arena
   * @param isSteady - whether no function of the application was called since the record was checked
   */
  #encode(
    segment: ActiveSegment,
    body: RecordBody,
    offset: number,
    frameBytes: number,
    batchFlag: number,
    elapsedMs: number,
    isSteady: boolean,
  ): void {
    const { type, meta, metaBytes, payload, scope, codec } = body;
    const { cipher } = segment;
    const watermarks = this.#watermarks;
    const lsn = watermarks.nextLsn;
    const { bytes, view } = this.#arena;
    const flags =
      batchFlag |
      (scope === undefined ? 0 : RecordFlag.scoped) |
      (codec === CodecNumber.none ? 0 : RecordFlag.compressed) |
      (cipher === undefined ? 0 : RecordFlag.encrypted);
    writeRecordHeader(view, offset, frameBytes, lsn, type, watermarks.durableLsn, metaBytes, flags, codec, elapsedMs);
    let at = offset + MARK_FRAME_BYTES;
    if (scope !== undefined) {
      writeScope(view, at, scope);
      at += SCOPE_BYTES;
    }
    // If another thread grows shared memory meanwhile, the copy extends behind the frame, which is overwritten later.
    if (metaBytes > 0) copyInto(bytes, meta, at);
    copyInto(bytes, payload, at + metaBytes);
    if (!isSteady) requireUnchanged(body);
    if (cipher !== undefined) this.#encrypt(cipher, offset, frameBytes, scope !== undefined, lsn);
    this.#arena.placed(offset + frameBytes, lsn + 1);
    watermarks.nextLsn = lsn + 1;
    segment.nextLsn = lsn + 1;
    watermarks.endsWithMark = false;
    this.#counters.records++;
  }

  /** Encrypts a record in place. A failure is final: the cipher is not used again. */
  #encrypt(cipher: SegmentCipher, offset: number, frameBytes: number, scoped: boolean, lsn: Lsn): void {
    try {
      cipher.encrypt(this.#arena.bytes, offset, frameBytes, scoped, lsn);
    } catch (error) {
      throw this.#failure.fail(error);
    }
  }

  #frameBytesOf({ payloadBytes, metaBytes, scope }: RecordBody): number {
    const bytes = recordFrameBytes(payloadBytes, metaBytes, scope !== undefined);
    return this.#chain.keyRing === undefined ? bytes : bytes + ENCRYPTION_TAG_BYTES;
  }

  /**
   * Upper bound of the bytes of consecutive records: a frame cannot start in the last bytes of a block, and skips them.
   */
  #runBytesMost(bodies: readonly RecordBody[]): number {
    let bytes = 0;
    for (const body of bodies) bytes += this.#frameBytesOf(body);
    const skipped = FRAME_HEADER_BYTES - 1;
    return bytes + skipped * (Math.ceil(bytes / (this.#settings.blockBytes - skipped)) + 1);
  }
}

/** Looked up once: the compiler would look up a method of typed arrays at every call. */
const { set } = Uint8Array.prototype;

/** @throws `TypeError` when the memory of the bytes is gone, or they are more than fit */
function copyInto(target: Uint8Array, bytes: Uint8Array, at: number): void {
  try {
    set.call(target, bytes, at);
  } catch {
    throw changed();
  }
}

/** @throws `TypeError` when the length of a record's memory has changed since it was checked */
function requireUnchanged({ payload, payloadBytes, meta, metaBytes }: RecordBody): void {
  if (lengthOf(payload) !== payloadBytes || lengthOf(meta) !== metaBytes) throw changed();
}

function changed(): TypeError {
  return invalidMemory('payload or meta', 'changed its length while the record was encoded: nothing was appended');
}
