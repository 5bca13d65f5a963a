import { blockEnd } from '@walstack/codec';
import type { Settings } from '../../options.js';
import type { ActiveSegment } from '../../segments/active-segment.js';

/** Bytes that are prepared of a segment which is needed before it was prepared, such as the first one. */
const FIRST_BYTES = 256 * 1024;

/** How many times as many bytes are prepared of each next file, up to the length of a segment. */
const GROWTH = 4;

/** A file is prepared in so many pieces, each of at most so many bytes: writes of groups are not delayed for long. */
const PIECES = 16;
const PIECE_BYTES_MAX = 256 * 1024;

/** The next file is prepared when this share of the present one is used. */
const READY_AT = 0.75;

/** Larger groups do not profit from prepared blocks, and writing zeros ahead of many such groups would be slower. */
const SMALL_GROUP_BYTES = 128 * 1024;

/** How much the last group counts in the average of the groups' sizes. */
const LAST_GROUP = 1 / 8;

/**
 * Decides how much of the next segment's file is prepared, and by when: a little of it for each group, so that the file is
 * ready shortly before it is needed.
 */
export class PreparationPace {
  readonly #isOff: boolean;
  readonly #limit: number;
  readonly #blockBytes: number;
  readonly #first: number;
  #target: number;
  /** Average size of a group. */
  #groupBytes = 0;
  /** The segment that is written to, and where in it the counting began. */
  #segment: ActiveSegment | undefined;
  #from = 0;

  constructor({ preallocate, segmentBytes, blockBytes }: Settings) {
    this.#isOff = preallocate === 'none';
    this.#blockBytes = blockBytes;
    this.#limit = blockEnd(segmentBytes, blockBytes);
    this.#first = Math.min(FIRST_BYTES, this.#limit);
    this.#target = Math.min(this.#limit, this.#first * GROWTH);
  }

  /** Whether nothing is prepared: as that was chosen, or as groups are too large to profit. */
  get isIdle(): boolean {
    return this.#isOff || this.#groupBytes > SMALL_GROUP_BYTES;
  }

  /** Bytes of a segment that is needed before it was prepared, and whose first group has so many bytes. */
  firstBytes(groupBytes: number): number {
    return this.isIdle || groupBytes > SMALL_GROUP_BYTES ? 0 : this.#first;
  }

  /** Offset behind which nothing is prepared. */
  get limitBytes(): number {
    return this.#limit;
  }

  /** Bytes of the next file that are prepared in all. */
  get targetBytes(): number {
    return this.#target;
  }

  /** Bytes that are prepared at a time. */
  get pieceBytes(): number {
    return Math.min(PIECE_BYTES_MAX, blockEnd(Math.ceil(this.#target / PIECES), this.#blockBytes));
  }

  /** Offset up to which a segment is not left for the next one, even if it is not prepared so far. */
  get leastBytes(): number {
    return this.#first;
  }

  /** Called when a file is taken that was ready: each next one is longer. */
  taken(): void {
    this.#target = Math.min(this.#limit, this.#target * GROWTH);
  }

  /**
   * Called when a group was submitted that ends at `end`.
   *
   * @returns how many bytes of the next file are to be prepared by now: whole pieces, or all
   */
  dueBytes(segment: ActiveSegment, end: number, groupBytes: number): number {
    if (this.#isOff) return 0;
    const weight = this.#groupBytes === 0 ? 1 : LAST_GROUP;
    this.#groupBytes += (groupBytes - this.#groupBytes) * weight;
    if (segment !== this.#segment) {
      this.#segment = segment;
      this.#from = end - groupBytes;
    }
    if (this.isIdle) return 0;
    const length = Math.max(segment.preallocatedEnd - this.#from, this.#first) * READY_AT;
    const due = (this.#target * (end - this.#from)) / length;
    return due >= this.#target ? this.#target : due - (due % this.pieceBytes);
  }
}
