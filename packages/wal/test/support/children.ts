import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** Opens a log and holds it. */
export const HOLDER = new URL('./holder-child.mjs', import.meta.url);

/** Commits without end. */
export const COMMITTER = new URL('./committer-child.mjs', import.meta.url);

/** Commits batches without end. */
export const BATCHER = new URL('./batcher-child.mjs', import.meta.url);

/** Commits, and truncates what the parent reports as read. */
export const FOLLOWED = new URL('./followed-child.mjs', import.meta.url);

/** Follows a log under a name. */
export const NAMED = new URL('./named-child.mjs', import.meta.url);

/** Follows a log without notifications of changes. */
export const UNWATCHED = new URL('./unwatched-child.mjs', import.meta.url);

/** A process that runs a program. It does not outlive the test. */
export class Child {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(program: URL, ...args: readonly string[]) {
    this.#child = spawn(process.execPath, [fileURLToPath(program), ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve()));
    // It may have ended when something is written to it.
    this.#child.stdin?.on('error', () => {});
    onTestFinished(() => this.kill());
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** What it prints. */
  get output(): Readable {
    return this.#child.stdout as Readable;
  }

  /** What it prints, line by line, to its end. What it printed before it was killed comes as well. */
  get lines(): AsyncIterable<string> {
    return createInterface({ input: this.output });
  }

  /** Writes to its standard input. */
  tell(line: string): void {
    this.#child.stdin?.write(line);
  }

  /** Kills it, and resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
