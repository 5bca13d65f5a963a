import { crc32cCombine } from '@walstack/codec/internal';

const NONE = -1;

/** The initial capacity. */
const FIRST_ENTRIES = 64;

/**
 * Claims: positions in a file that look like the start of a frame, each with the checksum that the file must have up to
 * the frame's end if it is one. So a single pass over the file verifies all of them, however many overlap: with the
 * running checksum R of everything read, a frame from *a* to *b* with the checksum *c* is valid exactly when R(b)
 * equals the combination of R(a) and *c*.
 *
 * The file is read in steps of equal length, and each claim is in a list of those that end in the same step.
 */
export class FrameClaims {
  readonly #origin: number;
  readonly #stepBytes: number;
  readonly #room: number;
  /** The first entry of each step. */
  readonly #heads: Int32Array;
  /** For each entry: the next one of the same step, the start and end of the frame, and the checksum up to its end. */
  #next = new Int32Array(FIRST_ENTRIES);
  #starts = new Float64Array(FIRST_ENTRIES);
  #ends = new Float64Array(FIRST_ENTRIES);
  #checksums = new Uint32Array(FIRST_ENTRIES);
  /** The number of entries ever used, and the list of those that are free again. */
  #used = 0;
  #free = NONE;
  #count = 0;

  /**
   * @param origin - position in the file where the first step begins
   * @param size - the size of the file
   * @param room - the maximum number of claims at a time
   */
  constructor(origin: number, size: number, stepBytes: number, room: number) {
    this.#origin = origin;
    this.#stepBytes = stepBytes;
    this.#room = room;
    this.#heads = new Int32Array(Math.ceil((size - origin) / stepBytes) + 1).fill(NONE);
  }

  /** How many more claims there is room for. */
  get room(): number {
    return this.#room - this.#count;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Whether a claim ends in the step that begins at this position. */
  endsIn(position: number): boolean {
    return this.#heads[(position - this.#origin) / this.#stepBytes] !== NONE;
  }

  /**
   * Adds a claim.
   *
   * @param start - the start of its frame
   * @param data - the start of its data
   * @param end - its end
   * @param checksum - the checksum in the frame
   * @param seed - the seed of that checksum
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
   * Verifies the claims that end in the step that begins at `position`, and removes them.
   *
   * @param running - the running checksum at `position`, and after each byte of the step
   * @returns the lowest start of a valid frame among them; `undefined` when none is valid
   */
  verifyStep(position: number, running: Uint32Array): number | undefined {
    const step = (position - this.#origin) / this.#stepBytes;
    let first = Number.POSITIVE_INFINITY;
    for (let entry = this.#heads[step] as number; entry !== NONE; ) {
      const after = this.#next[entry] as number;
      const isValid = running[(this.#ends[entry] as number) - position] === this.#checksums[entry];
      if (isValid) first = Math.min(first, this.#starts[entry] as number);
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
