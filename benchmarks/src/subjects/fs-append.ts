import { write } from 'node:fs';

const BUFFER_BYTES = 1024 * 1024;

/** What one writes with `node:fs` alone when nothing has to be durable: large buffers, one being filled, one written. */
export class FsAppend {
  readonly #fd: number;
  #filling = Buffer.alloc(BUFFER_BYTES);
  #spare = Buffer.alloc(BUFFER_BYTES);
  #length = 0;
  #position = 0;
  #underWay: Promise<void> | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** @returns `false` when there is no room: {@link ready} has to be awaited, and nothing was appended */
  append(payload: Uint8Array): boolean {
    if (this.#length + payload.length > BUFFER_BYTES) return false;
    this.#filling.set(payload, this.#length);
    this.#length += payload.length;
    return true;
  }

  /** Waits until one of the buffers is free, and writes the other. */
  async ready(): Promise<void> {
    await this.#underWay;
    [this.#filling, this.#spare] = [this.#spare, this.#filling];
    this.#underWay = this.#write(this.#spare, this.#length);
    this.#length = 0;
  }

  /** Hands over everything appended. */
  async flush(): Promise<void> {
    await this.ready();
    await this.#underWay;
  }

  #write(bytes: Buffer, length: number): Promise<void> {
    const position = this.#position;
    this.#position += length;
    return new Promise((resolve, reject) => {
      write(this.#fd, bytes, 0, length, position, (error, written) => {
        if (error) reject(error);
        else if (written < length) reject(new Error(`wrote ${written} of ${length} bytes`));
        else resolve();
      });
    });
  }
}
