import { FRAME_HEADER_BYTES, frameStart, type KeyRing, type Lsn, MARK_FRAME_BYTES } from '@walstack/codec';
import type { Segment } from '@walstack/mmap-reader/internal';
import { createdAt, type Environment, newId } from '../environment.js';
import type { Settings } from '../options.js';
import { ActiveSegment } from '../segments/active-segment.js';
import { currentKeyOf, statementOf } from '../segments/keys.js';
import {
  BEGINNING,
  type ChainLink,
  headerOf,
  isEmpty,
  linkBehind,
  positionAt,
  type SegmentPlan,
} from '../segments/segment.js';
import { SegmentList, type Segments } from '../segments/segment-list.js';
import type { LogStart } from './log-start.js';
import type { Watermarks } from './watermarks.js';

/** The longest time since the creation of its segment that a record can express: about 49.7 days. */
export const ELAPSED_MS_MAX = 0xffff_ffff;

/** What a new segment gets from the clock and the source of random bytes. */
type NewIdentity = Pick<SegmentPlan, 'createdAtMs' | 'segmentId'>;

/** The segments of a log, and which one the next record goes to: a new one is planned when it has to roll. */
export class SegmentChain {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #watermarks: Watermarks;
  readonly logId: Uint8Array;
  readonly coreId: number | undefined;
  /** Sealed segments, from the oldest to the newest. */
  readonly sealed: SegmentList;
  /** The segment that records are encoded into; it may still be a plan without a file. */
  active: ActiveSegment | undefined;
  /** The one before it, while the active one is planned and may be taken back for want of room. */
  before: ActiveSegment | undefined;
  /** The segment whose file is written to: the active one, or one before it. */
  current: ActiveSegment | undefined;
  /** The newest segment whose name is durable: the current one, or the one before it during a roll. */
  named: ActiveSegment | undefined;
  readonly #isLeftAt: (segment: ActiveSegment, end: number) => boolean;
  #nextNumber: number;
  #keyRing: KeyRing | undefined;
  /** Whether a ring was set in this opening, which the active segment may not have. */
  #isRekeyed = false;
  #encryptedFrom: Lsn | undefined;

  /** @param isLeftAt - whether a segment would have to grow to this offset while the next one is ready */
  constructor(
    environment: Environment,
    settings: Settings,
    start: LogStart,
    watermarks: Watermarks,
    isLeftAt: (segment: ActiveSegment, end: number) => boolean,
  ) {
    this.#isLeftAt = isLeftAt;
    this.#environment = environment;
    this.#settings = settings;
    this.#watermarks = watermarks;
    this.logId = start.logId;
    this.coreId = start.coreId;
    this.sealed = new SegmentList(start.sealed);
    this.active = start.active;
    this.current = start.active;
    this.named = start.active;
    this.#nextNumber = start.nextNumber;
    this.#keyRing = settings.keyRing;
    this.#encryptedFrom = start.encryptedFrom;
  }

  /** Position of the next frame in the log: behind everything encoded, padding included. */
  get position(): number {
    const { active, before } = this;
    // As long as nothing is encoded into a plan, the log may go on in the segment before it: a position does not fall.
    if (active !== undefined) return positionAt(before !== undefined && isEmpty(active) ? before : active);
    const { last } = this.sealed;
    return last === undefined ? 0 : linkBehind(last).firstPosition;
  }

  /** The newest named segment as far as it was written; `undefined` when there is none yet. */
  get newest(): Segment | undefined {
    return this.named?.asWritten;
  }

  /** All segments as far as they were written, from the oldest to the newest. */
  toArray(): readonly Segment[] {
    const { newest } = this;
    const segments = this.sealed.toArray();
    if (newest !== undefined) segments.push(newest);
    return segments;
  }

  /** The same segments as a view, without copying an array. */
  get view(): Segments {
    return this.sealed.viewFrom(0, this.newest);
  }

  /** The first LSN in the log; the next one when there is no record. */
  get firstLsn(): Lsn {
    return (this.sealed.first ?? this.named)?.header.firstLsn ?? this.#watermarks.nextLsn;
  }

  /** The keys of the log; `undefined` when it is not encrypted. */
  get keyRing(): KeyRing | undefined {
    return this.#keyRing;
  }

  /**
   * The LSN from which on the log is encrypted: records before it may be plaintext. `undefined` while it is not known.
   */
  get encryptedFrom(): Lsn | undefined {
    return this.#encryptedFrom;
  }

  /**
   * Encrypts from now on with the current key of a ring. Called before the first append: the next record goes to a segment
   * with this key.
   *
   * @param encryptedFrom - the LSN from which on the log is encrypted; used if that was not known yet
   */
  useKeyRing(ring: KeyRing, encryptedFrom: Lsn | undefined): void {
    this.#keyRing = ring;
    this.#isRekeyed = true;
    this.#encryptedFrom ??= encryptedFrom;
  }

  /**
   * The segment for a frame: a new one when the active one would become too long, is too old, or would have to grow while
   * the next one is ready.
   *
   * @param end - offset in the active segment from which on the frame can begin
   */
  segmentFor(frameBytes: number, now: number, end: number): ActiveSegment {
    const { active } = this;
    if (active !== undefined) {
      // A record cannot express so long a time since the segment was created. A time that a header cannot hold is
      // ignored.
      const elapsedMs = now - active.header.createdAtMs;
      if (elapsedMs > ELAPSED_MS_MAX && elapsedMs <= Number.MAX_SAFE_INTEGER) return this.plan();
      if (isEmpty(active)) return this.#isCurrent(active) ? active : this.plan();
      // Of a segment that the log goes on in, the mark of this opening may be encoded already.
      if (this.#isRekeyed && !this.#isCurrent(active)) return this.plan();
      const { segmentBytes } = this.#settings;
      // Where the frame ends if it has to skip the end of a block: without a division in the common case.
      const most = end + FRAME_HEADER_BYTES + frameBytes;
      if (most <= segmentBytes || frameStart(end, active.header.blockBytes) + frameBytes <= segmentBytes) {
        if (most <= active.preallocatedEnd) return active;
        if (active.continuation !== undefined && active.isClosed) {
          return this.#goOnIn(active, most, now) ?? this.plan();
        }
        if (!this.#isLeftAt(active, most)) return active;
      }
    }
    return this.plan();
  }

  /**
   * Up to this offset {@link segmentFor} returns a segment for the frames behind its last one, unless it is too old, or the
   * next one becomes ready meanwhile.
   */
  roomEnd(segment: ActiveSegment): number {
    const { segmentBytes } = this.#settings;
    const { end, preallocatedEnd } = segment;
    if (end > preallocatedEnd && !this.#isLeftAt(segment, segmentBytes)) return segmentBytes;
    return Math.min(segmentBytes, preallocatedEnd - FRAME_HEADER_BYTES);
  }

  /**
   * A segment that was closed, for the first frame behind that mark; `undefined` where it has not room for that and the block of
   * one more mark, or was created later than now.
   */
  #goOnIn(active: ActiveSegment, end: number, now: number): ActiveSegment | undefined {
    const { continuation, header } = active;
    if (continuation === undefined) return undefined;
    // Every record would get the time at which the segment was created.
    if (now < header.createdAtMs) return undefined;
    if (end + header.blockBytes + MARK_FRAME_BYTES > this.#settings.segmentBytes) return undefined;
    // Drawn once, also where the append fails.
    continuation.sessionId ??= newId(this.#environment);
    return active;
  }

  /** A segment for the next record, without a file yet. */
  plan(): ActiveSegment {
    // First: these functions of the application may append, which moves the end that the new segment is planned behind.
    const identity = this.#newIdentity();
    const { first, last: lastSealed } = this.sealed;
    const last = this.active ?? lastSealed;
    const before = [first, last].filter((segment) => segment !== undefined);
    return this.#planned(identity, this.#watermarks.nextLsn, last === undefined ? BEGINNING : linkBehind(last), before);
  }

  /** @param before - the kept segments; the oldest and the newest are enough */
  planAt(firstLsn: Lsn, from: ChainLink, before: readonly Segment[]): ActiveSegment {
    return this.#planned(this.#newIdentity(), firstLsn, from, before);
  }

  #newIdentity(): NewIdentity {
    return { createdAtMs: createdAt(this.#environment), segmentId: newId(this.#environment) };
  }

  #planned(
    { createdAtMs, segmentId }: NewIdentity,
    firstLsn: Lsn,
    from: ChainLink,
    before: readonly Segment[],
  ): ActiveSegment {
    const plan = {
      logId: this.logId,
      number: this.#nextNumber++,
      firstLsn,
      blockBytes: this.#settings.blockBytes,
      createdAtMs,
      segmentId,
      coreId: this.coreId,
      keyId: currentKeyOf(this.#keyRing),
      encryptedFrom: statementOf(before, this.#encryptedFrom ?? 0, firstLsn),
    };
    return new ActiveSegment(this.#settings.directory, headerOf(plan, from), this.#keyRing);
  }

  /**
   * Continues with a named segment behind some of the segments.
   *
   * @returns those that are not part of the log any more
   */
  replace(kept: readonly Segment[], next: ActiveSegment): readonly Segment[] {
    const keptNumbers = new Set(kept.map(({ header }) => header.number));
    const before: Segment[] = this.sealed.toArray();
    if (this.current !== undefined) before.push(this.current);
    this.sealed.replace(kept);
    this.active = next;
    this.current = next;
    this.named = next;
    if (this.#encryptedFrom !== undefined) this.#encryptedFrom = Math.min(this.#encryptedFrom, next.header.firstLsn);
    return before.filter(({ header }) => !keptNumbers.has(header.number));
  }

  /** Whether new segments would use the same key. Another ring may have a different key with the same id. */
  #isCurrent({ header, keyRing }: ActiveSegment): boolean {
    return keyRing === this.#keyRing && header.keyId === currentKeyOf(keyRing);
  }
}
