import { blockEnd, FRAME_HEADER_BYTES, frameStart, sealFrames, UNSALTED_SEED } from '@walstack/codec';
import { fillWithPadding } from './padding.js';

/** Memory that a group begins with, unless more is needed at once. */
const FIRST_BYTES = 64 * 1024;

/** What one write will write. */
export interface Group {
  /** Where in the file. */
  readonly position: number;
  readonly bytes: Uint8Array;
  /** What `bytes` is a part of. */
  readonly memory: Uint8Array;
}

/** A group that no write has taken. */
interface WaitingGroup {
  readonly position: number;
  memory: Uint8Array;
  length: number;
  appends: number;
  /** Of these, what was appended to the batch, and what that comes to in the file. */
  batchOps: number;
  batchBytes: number;
}

/** How an {@link AppendBuffer} lays out what it is given. */
export interface BufferLayout {
  /** Where in the file the first append goes. With `pad`, a multiple of `blockBytes`. */
  readonly position: number;
  readonly blockBytes: number;
  /** Fill each group up to the end of its block with padding. */
  readonly pad: boolean;
  /** A group with several appends is not longer, padding included. */
  readonly groupBytesMax: number;
  /** Memory of a group that was written is kept for another one when it is no larger. */
  readonly spareBytesMax: number;
  /** Gives memory that the backend can write from. */
  readonly allocate: (bytes: number) => Uint8Array;
}

/** What was appended and not yet written, in memory as it will stand in the file, in the order of the appends. */
export class AppendBuffer {
  readonly #layout: BufferLayout;
  /** Groups that get no more appends, and the one that does. */
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

  /** Where in the file the last append ends, or the padding behind it. */
  get position(): number {
    return this.#position;
  }

  /** Bytes appended and not yet written, those of a write under way included. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Appends to the batch that no write has taken. */
  get batchOps(): number {
    return this.#batchOps;
  }

  /** What these come to in the file, in bytes. */
  get batchBytes(): number {
    return this.#batchBytes;
  }

  /**
   * Copies an append to its place.
   *
   * @param framed - as a frame, else as it is
   * @param batched - whether it counts to the batch
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

  /** Hands out the oldest group, which is not added to any more; `undefined` when there is none. */
  take(): Group | undefined {
    if (this.#closed.length === 0) this.#close();
    const group = this.#closed.shift();
    if (group === undefined) return undefined;
    this.#batchOps -= group.batchOps;
    this.#batchBytes -= group.batchBytes;
    const { position, memory, length } = group;
    return { position, bytes: memory.subarray(0, length), memory };
  }

  /** Takes back the memory of a group that was written. */
  release({ bytes, memory }: Group): void {
    this.#pendingBytes -= bytes.length;
    if (memory.length <= this.#layout.spareBytesMax) this.#spare = memory;
  }

  /** Forgets everything that was not handed out, and returns how many appends that were. */
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

  /** The group that an append of so many bytes goes to, with room for it and for the padding behind it. */
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

  /** How long a group is when it holds another append, and is padded behind it. */
  #bytesWith({ position }: Pick<WaitingGroup, 'position'>, bytes: number, framed: boolean): number {
    const end = this.#start(framed) + bytes;
    return (this.#layout.pad ? blockEnd(end, this.#layout.blockBytes) : end) - position;
  }

  /** Where the next append starts. */
  #start(framed: boolean): number {
    return framed ? frameStart(this.#position, this.#layout.blockBytes) : this.#position;
  }

  /** The checksum is that of the copy: memory that is shared may change while it is read. */
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
