import type { Lsn } from '@walstack/codec';
import type { FollowerFile, FollowerSlot, StoredPosition } from '@walstack/codec/internal';
import { findCut, lastReadAt, type Segment, sameId } from '@walstack/mmap-reader/internal';
import type { SegmentWriter } from '../write/segment-writer.js';

/** So many positions are remembered. */
const POSITIONS_MAX = 4096;

/**
 * The first LSN that each follower needs, by what it has stored. Comparing a position with the segments is done once for each set of
 * segments: truncations and `stats` ask again and again.
 */
export class NeededLsns {
  readonly #writer: SegmentWriter;
  /** For each position, where what was read before was cut off; `undefined` where it was not. */
  readonly #cuts = new Map<string, Lsn | undefined>();
  /** The segments that were compared: after a cut or a roll the newest one has another number. */
  #compared: readonly [number, number] = [0, 0];

  constructor(writer: SegmentWriter) {
    this.#writer = writer;
  }

  /** `'other-log'` where one of the slots belongs to another log; `undefined` where everything is needed. */
  of({ older, newer }: FollowerFile): Lsn | undefined | 'other-log' {
    const { logId } = this.#writer;
    if (!sameId(older.logId, logId) || !sameId(newer.logId, logId)) return 'other-log';
    const [first, second] = [this.#neededBy(older), this.#neededBy(newer)];
    return first === undefined || second === undefined ? undefined : Math.min(first, second);
  }

  #neededBy(slot: FollowerSlot): Lsn | undefined {
    if (slot.position === undefined) return undefined;
    const { nextLsn } = this.#writer;
    return Math.min(slot.position.lsn, nextLsn, this.#cutOf(slot.position) ?? nextLsn);
  }

  /** The end of the log may have been cut off before the position. */
  #cutOf({ lsn, segment, id, session }: StoredPosition): Lsn | undefined {
    if (segment === undefined || id === undefined) return undefined;
    this.#forgetOthers();
    const position = `${lsn}/${segment}/${id}`;
    if (this.#cuts.has(position)) return this.#cuts.get(position);
    const point = { lsn, segment, id, ...(session === undefined ? {} : { session }) };
    const cut = findCut(this.#writer.segments, lastReadAt('position', point));
    if (this.#cuts.size === POSITIONS_MAX) this.#cuts.clear();
    this.#cuts.set(position, cut);
    return cut;
  }

  #forgetOthers(): void {
    const { chain } = this.#writer;
    const [first, last] = [numberOf(chain.at(0)), numberOf(chain.at(chain.length - 1))];
    if (first === this.#compared[0] && last === this.#compared[1]) return;
    this.#compared = [first, last];
    this.#cuts.clear();
  }
}

const numberOf = (segment: Segment | undefined): number => segment?.header.number ?? 0;
