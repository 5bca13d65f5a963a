import { closeSync, openSync } from 'node:fs';
import { Ring } from '@walstack/native';
import type { Subject } from '../subjects/subject.js';
import { FrameBuffer, forEachFrame } from './frames.js';

const BUFFER_BYTES = 1024 * 1024;
const BUFFERS = 4;

/** A buffer, and what of it is being written. */
class Piece {
  readonly frames = new FrameBuffer(BUFFER_BYTES);
  bytes = 0;

  constructor(readonly slot: number) {}
}

/**
 * The least JavaScript that gives records the frames and checksums of a log and writes them on a bare ring, without a sync:
 * one of four buffers is filled while the others are written.
 */
class RingAppend {
  readonly #ring = new Ring({ entries: BUFFERS, slots: BUFFERS });
  readonly #fd: number;
  readonly #pieces = Array.from({ length: BUFFERS }, (_, slot) => new Piece(slot));
  readonly #free = [...this.#pieces];
  readonly #slots = new Int32Array(BUFFERS);
  readonly #results = new Int32Array(BUFFERS);
  #filling: Piece | undefined = this.#free.pop();
  #position = 0;

  constructor(path: string) {
    this.#fd = openSync(path, 'wx');
  }

  /** @returns `false` when there is no room, and nothing was appended */
  append(payload: Uint8Array, lsn: number): boolean {
    if (this.#filling?.frames.add(payload, lsn) === true) return true;
    this.#write();
    this.#filling = this.#free.pop();
    return this.#filling?.frames.add(payload, lsn) ?? false;
  }

  /** Waits until a buffer is free. */
  ready(): Promise<void> {
    return this.#until(() => this.#free.length > 0);
  }

  /** Waits until everything is with the operating system. */
  async flush(): Promise<void> {
    this.#write();
    await this.#until(() => this.#free.length === BUFFERS);
    this.#filling = this.#free.pop();
  }

  close(): void {
    this.#ring.close();
    closeSync(this.#fd);
  }

  #write(): void {
    const piece = this.#filling;
    if (piece === undefined) return;
    this.#filling = undefined;
    if (piece.frames.end === 0) {
      this.#free.push(piece);
      return;
    }
    const bytes = piece.frames.sealed();
    piece.bytes = bytes.length;
    this.#ring.write(piece.slot, this.#fd, bytes, this.#position);
    this.#ring.submit();
    this.#position += bytes.length;
    this.#reap();
  }

  #until(holds: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        try {
          this.#reap();
        } catch (error) {
          this.#ring.onReady(undefined);
          reject(error);
          return;
        }
        if (!holds()) return;
        this.#ring.onReady(undefined);
        resolve();
      };
      this.#ring.onReady(check);
      check();
    });
  }

  #reap(): void {
    const count = this.#ring.reap(this.#slots, this.#results);
    for (let index = 0; index < count; index++) {
      const piece = this.#pieces[this.#slots[index] as number] as Piece;
      const result = this.#results[index] as number;
      if (result !== piece.bytes) throw new Error(`a write of ${piece.bytes} bytes came to ${result}`);
      piece.frames.clear();
      this.#free.push(piece);
    }
  }
}

/** The subject `ring-append`, which appends and is read back, and does nothing else. */
export const ringAppend: Pick<Subject, 'name' | 'how' | 'appending' | 'reading'> = {
  name: 'ring-append',
  how:
    'the least JavaScript that gives payloads the frames and checksums of a log and writes them on a bare ring of ' +
    '@walstack/native, 1 MiB at a time into one growing file, without a sync',
  appending: async (path) => {
    const file = new RingAppend(path);
    return {
      take: (record, from, to) => {
        let number = from;
        while (number <= to && file.append(record.numbered(number), number)) number++;
        return number;
      },
      ready: () => file.ready(),
      flush: () => file.flush(),
      close: async () => file.close(),
    };
  },
  reading: async (path) => ({ forEach: async (f) => forEachFrame(path, f), close: async () => {} }),
};
