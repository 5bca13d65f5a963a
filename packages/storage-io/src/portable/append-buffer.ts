import { blockEnd, FRAME_HEADER_BYTES, frameStart, sealFrames, UNSALTED_SEED } from '@walstack/codec';
import { fillWithPadding } from './padding.js';

/** The memory of a new group, unless its first append needs more. */
const FIRST_BYTES = 64 * 1024;

/** The bytes of one write. */
export interface Group {
  /** Its position in the file. */
  readonly position: number;
  readonly bytes: Uint8Array;
  /** The memory that `bytes` is a view of. */
  readonly memory: Uint8Array;
}

/** A group that is not being written yet. */
interface WaitingGroup {
  readonly position: number;
  memory: Uint8Array;
  length: number;
  appends: number;
  /** How many of these belong to the batch, and their size in the file. */
  batchOps: number;
  batchBytes: number;
}

/** How an {@link AppendBuffer} lays out what is appended. */
export interface BufferLayout {
  /** The position of the first append in the file. With `pad`, a multiple of `blockBytes`. */
  readonly position: number;
  readonly blockBytes: number;
  /** Fill each group up to the end of its block with padding. */
  readonly pad: boolean;
  /** The maximum length of a group with several appends, padding included. */
  readonly groupBytesMax: number;
  /** The memory of a written group is reused when it is no larger than this. */
  readonly spareBytesMax: number;
  /** Allocates memory that the backend can write from. */
  readonly allocate: (bytes: number) => Uint8Array;
}

/** Appends that are not yet written, laid out in memory as they will be in the file, in their order. */
export class AppendBuffer {
  readonly #layout: BufferLayout;
  /** Groups that take no more appends, and the one that does. */
  #closed: WaitingGroup[] = [];
  #open: WaitingGroup | undefined;
  #position: number;
  #pendingBytes = 0;
  #batchOps = 0;
  #batchBytes = 0;
  #spare: Uint8Array | undefined;

  constructor(layout: BufferLayout) {
    this.#layout = layout;
    this.#position = layout.position;
  }

  /** The position in the file after the last append and its padding. */
  get position(): number {
    return this.#position;
  }

  /** Bytes appended and not yet written; those of a write in flight are included. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Appends in the batch that are not being written yet. */
  get batchOps(): number {
    return this.#batchOps;
  }

  /** The size of these in the file, in bytes. */
  get batchBytes(): number {
    return this.#batchBytes;
  }

  /**
   * Copies an append into its group.
   *
   * @param framed - append `data` as a frame; otherwise the bytes as they are
   * @param batched - whether it belongs to the batch
   * @returns its position in the file
   */
  append(data: Uint8Array, framed: boolean, batched: boolean): number {
    const headerBytes = framed ? FRAME_HEADER_BYTES : 0;
    const group = this.#groupFor(headerBytes + data.length, framed);
    const start = this.#start(framed);
    const at = start - group.position;
    const end = at + headerBytes + data.length;
    group.memory.fill(0, group.length, at);
    group.memory.set(data, at + headerBytes);
    if (framed) this.#seal(group.memory, at, end, start);
    const added = this.#advance(group, end);
    group.appends++;
    if (batched) {
      group.batchOps++;
      group.batchBytes += added;
      this.#batchOps++;
      this.#batchBytes += added;
    }
    return start;
  }

  /** Removes and returns the oldest group, which takes no more appends; `undefined` when there is none. */
  take(): Group | undefined {
    if (this.#closed.length === 0) this.#close();
    const group = this.#closed.shift();
    if (group === undefined) return undefined;
    this.#batchOps -= group.batchOps;
    this.#batchBytes -= group.batchBytes;
    const { position, memory, length } = group;
    return { position, bytes: memory.subarray(0, length), memory };
  }

  /** Takes back the memory of a written group for reuse. */
  release({ bytes, memory }: Group): void {
    this.#pendingBytes -= bytes.length;
    if (memory.length <= this.#layout.spareBytesMax) this.#spare = memory;
  }

  /** Drops all groups that were not taken, and returns how many appends were in them. */
  discard(): number {
    this.#close();
    let appends = 0;
    for (let group = this.#closed.pop(); group !== undefined; group = this.#closed.pop()) {
      this.#pendingBytes -= group.length;
      appends += group.appends;
    }
    this.#batchOps = 0;
    this.#batchBytes = 0;
    return appends;
  }

  /** The group for an append of so many bytes, with room for it and for the padding after it. */
  #groupFor(bytes: number, framed: boolean): WaitingGroup {
    const { groupBytesMax } = this.#layout;
    if (this.#open !== undefined && this.#bytesWith(this.#open, bytes, framed) > groupBytesMax) this.#close();
    if (this.#open === undefined) {
      const group = { position: this.#position, length: 0, appends: 0, batchOps: 0, batchBytes: 0 };
      this.#open = { ...group, memory: this.#memory(this.#bytesWith(group, bytes, framed)) };
    }
    const needed = this.#bytesWith(this.#open, bytes, framed);
    if (needed > this.#open.memory.length) this.#open.memory = this.#enlarged(this.#open, needed);
    return this.#open;
  }

  /** The length of a group with another append of so many bytes and the padding after it. */
  #bytesWith({ position }: Pick<WaitingGroup, 'position'>, bytes: number, framed: boolean): number {
    const end = this.#start(framed) + bytes;
    return (this.#layout.pad ? blockEnd(end, this.#layout.blockBytes) : end) - position;
  }

  /** Where the next append starts. */
  #start(framed: boolean): number {
    return framed ? frameStart(this.#position, this.#layout.blockBytes) : this.#position;
  }

  /** The checksum is computed from the copy: the caller's memory may be shared, and change while it is read. */
  #seal(memory: Uint8Array, at: number, end: number, position: number): void {
    const length = end - at - FRAME_HEADER_BYTES;
    memory[at] = length;
    memory[at + 1] = length >>> 8;
    memory[at + 2] = length >>> 16;
    memory[at + 3] = length >>> 24;
    sealFrames(memory, at, end, position, this.#layout.blockBytes, UNSALTED_SEED);
  }

  #close(): void {
    const group = this.#open;
    if (group === undefined) return;
    this.#open = undefined;
    if (this.#layout.pad) {
      const end = blockEnd(group.length, this.#layout.blockBytes);
      fillWithPadding(group.memory, group.length, end);
      this.#advance(group, end);
    }
    this.#closed.push(group);
  }

  #advance(group: WaitingGroup, end: number): number {
    const added = end - group.length;
    group.length = end;
    this.#position += added;
    this.#pendingBytes += added;
    return added;
  }

  #memory(needed: number): Uint8Array {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare !== undefined && spare.length >= needed) return spare;
    return this.#layout.allocate(this.#capacity(needed));
  }

  #enlarged(group: WaitingGroup, needed: number): Uint8Array {
    const memory = this.#layout.allocate(this.#capacity(Math.max(needed, 2 * group.memory.length)));
    memory.set(group.memory.subarray(0, group.length));
    return memory;
  }

  #capacity(bytes: number): number {
    return blockEnd(Math.max(bytes, FIRST_BYTES), this.#layout.blockBytes);
  }
}
