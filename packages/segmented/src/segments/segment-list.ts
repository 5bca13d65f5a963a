import type { Segment } from '@walstack/mmap-reader/internal';

/** A snapshot of the segments of a log, from the oldest to the newest. */
export interface Segments {
  readonly length: number;
  /** Bytes of all of them. */
  readonly bytes: number;
  /** @param index - 0 is the oldest */
  at(index: number): Segment | undefined;
}

/**
 * Binary search: the number of segments at the beginning for which `holds` is true. `holds` must be false for all segments
 * behind the first one for which it is false.
 */
export function countWhile(segments: Segments, holds: (segment: Segment) => boolean): number {
  let [low, high] = [0, segments.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(segments.at(middle) as Segment)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The segments from an index on, as an array. */
export function arrayFrom(segments: Segments, index: number): readonly Segment[] {
  return Array.from({ length: segments.length - index }, (_, at) => segments.at(index + at) as Segment);
}

/**
 * The sealed segments of a log. Adding a segment at the end and dropping one at the beginning take amortised constant time,
 * and views that were taken before do not change.
 */
export class SegmentList implements Segments {
  /** Only appended to, never changed in place: views share it. */
  #items: Segment[];
  /** Index of the oldest one. */
  #start = 0;
  #bytes: number;

  constructor(segments: readonly Segment[]) {
    this.#items = [...segments];
    this.#bytes = bytesOf(segments);
  }

  get length(): number {
    return this.#items.length - this.#start;
  }

  get bytes(): number {
    return this.#bytes;
  }

  at(index: number): Segment | undefined {
    return index < 0 ? undefined : this.#items[this.#start + index];
  }

  get first(): Segment | undefined {
    return this.at(0);
  }

  get last(): Segment | undefined {
    return this.length === 0 ? undefined : this.at(this.length - 1);
  }

  /** A copy of all segments as an array. */
  toArray(): Segment[] {
    return this.#items.slice(this.#start);
  }

  /** A view of the present segments from an index on, with one more at its end. */
  viewFrom(index: number, next: Segment | undefined): Segments {
    const items = this.#items;
    const start = this.#start + index;
    const sealed = items.length - start;
    return {
      length: next === undefined ? sealed : sealed + 1,
      bytes: this.#bytes + (next?.end ?? 0),
      at: (at) => (at < sealed ? items[start + at] : at === sealed ? next : undefined),
    };
  }

  push(segment: Segment): void {
    this.#items.push(segment);
    this.#bytes += segment.end;
  }

  /** Removes the newest one. */
  pop(): void {
    this.replace(this.toArray().slice(0, -1));
  }

  /** Removes the segments below a number, and returns them. */
  dropBelow(number: number): readonly Segment[] {
    const count = countWhile(this, ({ header }) => header.number < number);
    const dropped = this.#items.slice(this.#start, this.#start + count);
    this.#bytes -= bytesOf(dropped);
    this.#start += count;
    // Dropped segments stay in the array until they are half of it, so that copying costs amortised constant time.
    if (this.#start * 2 > this.#items.length) {
      this.#items = this.toArray();
      this.#start = 0;
    }
    return dropped;
  }

  /** Replaces all segments. */
  replace(segments: readonly Segment[]): void {
    this.#items = [...segments];
    this.#start = 0;
    this.#bytes = bytesOf(segments);
  }
}

const bytesOf = (segments: readonly Segment[]): number => segments.reduce((sum, { end }) => sum + end, 0);
