import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ShipOptions } from '../../src/index.js';

const CHILD = fileURLToPath(new URL('writer-child.mjs', import.meta.url));

/** A process that commits and ships until it is killed. */
export class Writer {
  readonly #child: ChildProcess;
  committed = 0;
  replicated = 0;

  constructor(directory: string, options: ShipOptions) {
    this.#child = spawn(process.execPath, [CHILD, directory, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    lines.on('line', (line) => Object.assign(this, JSON.parse(line)));
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}
