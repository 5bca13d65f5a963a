import type { Lsn } from '@walstack/codec';
import type { StoredPosition } from '@walstack/codec/internal';
import type { ResumePoint } from '@walstack/mmap-reader';

/** The segments of the events that a follower has returned, from the acknowledged ones on: an event is found again by them. */
export class ReadPoints {
  /** For each segment the last point that is known in it, in order. */
  #points: readonly ResumePoint[] = [];

  /** Where the follower is. To be called whenever it may leave a segment, so that the last point in it is its end. */
  note(point: ResumePoint | undefined): void {
    if (point === undefined) return;
    const last = this.#points.at(-1);
    const isSame = last?.segment === point.segment && last.id === point.id;
    if (isSame && last.lsn === point.lsn) return;
    this.#points = [...(isSame ? this.#points.slice(0, -1) : this.#points), point];
  }

  /** The position behind the events before an LSN. The session is left out inside a segment, where it is not known. */
  before(lsn: Lsn): StoredPosition {
    const own = this.#points.find((point) => point.lsn >= lsn);
    if (own === undefined) return { lsn };
    return own.lsn === lsn ? own : { lsn, segment: own.segment, id: own.id };
  }

  /** The events before an LSN were acknowledged: their segments are not needed any more. */
  forgetBefore(lsn: Lsn): void {
    if ((this.#points[0]?.lsn ?? lsn) < lsn) this.#points = this.#points.filter((point) => point.lsn >= lsn);
  }
}
