import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** A directory for what is measured, of which nothing stays. */
export class Scratch implements Disposable {
  readonly path: string;
  #given = 0;

  constructor(parent: string) {
    mkdirSync(parent, { recursive: true });
    this.path = mkdtempSync(join(parent, 'bench-'));
  }

  /** A path at which there is nothing. */
  next(name: string): string {
    this.#given++;
    return join(this.path, `${this.#given}-${name}`);
  }

  /** Removes a file or directory. */
  remove(path: string): void {
    rmSync(path, { recursive: true, force: true });
  }

  /** Removes everything. */
  clear(): void {
    for (const name of readdirSync(this.path)) this.remove(join(this.path, name));
  }

  [Symbol.dispose](): void {
    this.remove(this.path);
  }
}
