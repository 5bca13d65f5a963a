import { crc32cCombine } from '@walstack/codec';

const NONE = -1;

/** Entries that there is room for at first. */
const FIRST_ENTRIES = 64;

/**
 * Places of a file that look like the beginnings of frames, each with the checksum that the file would have up to the frame's
 * end if it is one. So a single pass over the file verifies all of them, however many overlap: with the running checksum R of
 * all that was read, a frame from *a* to *b* with the checksum *c* is right exactly when R(b) is what comes of R(a) and *c*.
 *
 * The file is taken in steps of equal length, and each claim is kept with those that end in the same step.
 */
export class FrameClaims {
  readonly #origin: number;
  readonly #stepBytes: number;
  readonly #room: number;
  /** The first entry of each step. */
  readonly #heads: Int32Array;
  /** Of each entry: the next one of the same step, where the frame starts and ends, and the checksum up to its end. */
  #next = new Int32Array(FIRST_ENTRIES);
  #starts = new Float64Array(FIRST_ENTRIES);
  #ends = new Float64Array(FIRST_ENTRIES);
  #checksums = new Uint32Array(FIRST_ENTRIES);
  /** Entries that were used, and those of them that are free again. */
  #used = 0;
  #free = NONE;
  #count = 0;

  /**
   * @param origin - position in the file where the first step begins
   * @param size - bytes of the file
   * @param room - claims that are kept at a time, at most
   */
  constructor(origin: number, size: number, stepBytes: number, room: number) {
    this.#origin = origin;
    this.#stepBytes = stepBytes;
    this.#room = room;
    this.#heads = new Int32Array(Math.ceil((size - origin) / stepBytes) + 1).fill(NONE);
  }

  /** How many more there is room for. */
  get room(): number {
    return this.#room - this.#count;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Whether one ends in the step that begins at this position. */
  endsIn(position: number): boolean {
    return this.#heads[(position - this.#origin) / this.#stepBytes] !== NONE;
  }

  /**
   * Takes note of a claim.
   *
   * @param start - where its frame starts
   * @param data - where its data does
   * @param end - where it ends
   * @param checksum - what the frame says
   * @param seed - what that continues
   * @param running - the running checksum up to `data`
   */
  add(start: number, data: number, end: number, checksum: number, seed: number, running: number): void {
    const entry = this.#takeEntry();
    const step = Math.ceil((end - this.#origin) / this.#stepBytes) - 1;
    this.#starts[entry] = start;
    this.#ends[entry] = end;
    this.#checksums[entry] = crc32cCombine((running ^ seed) >>> 0, checksum, end - data);
    this.#next[entry] = this.#heads[step] as number;
    this.#heads[step] = entry;
    this.#count++;
  }

  /**
   * Verifies those that end in the step that begins at `position`, and forgets them.
   *
   * @param running - the running checksum at `position`, and behind each byte of the step
   * @returns where the first right frame starts among them; `undefined` when none is right
   */
  settle(position: number, running: Uint32Array): number | undefined {
    const step = (position - this.#origin) / this.#stepBytes;
    let first = Number.POSITIVE_INFINITY;
    for (let entry = this.#heads[step] as number; entry !== NONE; ) {
      const after = this.#next[entry] as number;
      const isRight = running[(this.#ends[entry] as number) - position] === this.#checksums[entry];
      if (isRight) first = Math.min(first, this.#starts[entry] as number);
      this.#next[entry] = this.#free;
      this.#free = entry;
      this.#count--;
      entry = after;
    }
    this.#heads[step] = NONE;
    return first === Number.POSITIVE_INFINITY ? undefined : first;
  }

  #takeEntry(): number {
    const entry = this.#free;
    if (entry !== NONE) {
      this.#free = this.#next[entry] as number;
      return entry;
    }
    if (this.#used === this.#next.length) this.#grow();
    return this.#used++;
  }

  #grow(): void {
    const entries = Math.min(this.#room, 2 * this.#used);
    this.#next = grown(new Int32Array(entries), this.#next);
    this.#starts = grown(new Float64Array(entries), this.#starts);
    this.#ends = grown(new Float64Array(entries), this.#ends);
    this.#checksums = grown(new Uint32Array(entries), this.#checksums);
  }
}

function grown<T extends Int32Array | Uint32Array | Float64Array>(larger: T, smaller: T): T {
  larger.set(smaller);
  return larger;
}
