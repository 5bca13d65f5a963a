import { fdatasync, write } from 'node:fs';

/**
 * What one writes with `node:fs` alone: records one behind the other in a growing file, all commits that wait sharing one write
 * and one datasync, while the next group gathers in a second buffer. No checksums, no headers, no recovery.
 */
export class FsGroupCommit {
  readonly #fd: number;
  #gathering = new Gathering();
  #writing = new Gathering();
  #position = 0;
  #running = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Resolves when the record is durable. */
  commit(payload: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#gathering.add(payload, resolve, reject);
      if (this.#running) return;
      this.#running = true;
      setImmediate(this.#nextGroup);
    });
  }

  readonly #nextGroup = (): void => {
    if (this.#gathering.waiting === 0) {
      this.#running = false;
      return;
    }
    [this.#gathering, this.#writing] = [this.#writing, this.#gathering];
    this.#write(0);
  };

  #write(from: number): void {
    const { bytes, length } = this.#writing;
    write(this.#fd, bytes, from, length - from, this.#position, (error, written) => {
      this.#position += written;
      if (error) this.#writing.settle(error);
      else if (from + written < length) this.#write(from + written);
      else fdatasync(this.#fd, this.#synced);
    });
  }

  readonly #synced = (error: Error | null): void => {
    this.#writing.settle(error);
    setImmediate(this.#nextGroup);
  };
}

/** The records of one group, and the commits that wait for them. */
class Gathering {
  bytes = Buffer.allocUnsafe(64 * 1024);
  length = 0;
  #resolve: (() => void)[] = [];
  #reject: ((error: Error) => void)[] = [];

  /** How many commits wait. */
  get waiting(): number {
    return this.#resolve.length;
  }

  add(payload: Uint8Array, resolve: () => void, reject: (error: Error) => void): void {
    if (this.length + payload.length > this.bytes.length) {
      this.bytes = Buffer.concat([this.bytes], 2 * (this.length + payload.length));
    }
    this.bytes.set(payload, this.length);
    this.length += payload.length;
    this.#resolve.push(resolve);
    this.#reject.push(reject);
  }

  settle(error: Error | null): void {
    const resolve = this.#resolve;
    const reject = this.#reject;
    this.#resolve = [];
    this.#reject = [];
    this.length = 0;
    if (error === null) for (const each of resolve) each();
    else for (const each of reject) each(error);
  }
}
