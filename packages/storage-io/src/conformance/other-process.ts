import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { WalErrorCode } from '@walstack/codec';

/** The outcome of a call in another process. */
export interface OtherOutcome {
  /** What the call returned, when it returned. */
  readonly value?: unknown;
  /** The code of what it threw. */
  readonly code?: WalErrorCode;
  /** The message of what it threw. */
  readonly message?: string;
}

/** Runs in the other process: one call for each line of input, and one line of output for its outcome. */
const PROGRAM = `
import { createInterface } from 'node:readline';
const io = await (await import(process.argv[1])).default();
const files = new Map();
let release;
const calls = {
  lock: (path) => void (release = io.lock(path)),
  release: () => release(),
  lockFile: (path, mode) => {
    if (!files.has(path)) files.set(path, io.open(path, { create: true }));
    return io.lockFile(files.get(path), mode);
  },
};
for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...args] = JSON.parse(line);
  let outcome;
  try {
    outcome = { value: calls[name](...args) };
  } catch (error) {
    outcome = { code: error.code, message: String(error.message) };
  }
  process.stdout.write(JSON.stringify(outcome) + '\\n');
}
`;

/** Another process, with a backend of its own. */
export class OtherProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** @param module - its default export makes the backend */
  constructor(module: string) {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM, module], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    // A process that has ended does not read its input.
    child.stdin.on('error', () => {});
  }

  /** Takes the lock of a path, and keeps it. */
  lock(path: string): Promise<OtherOutcome> {
    return this.#call('lock', path);
  }

  /** Releases the lock that was taken last. */
  release(): Promise<OtherOutcome> {
    return this.#call('release');
  }

  /** Locks a file that it opens for that, and keeps open. */
  lockFile(path: string, mode: 'shared' | 'exclusive'): Promise<OtherOutcome> {
    return this.#call('lockFile', path, mode);
  }

  /** Ends the process by a signal that it cannot handle. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  async #call(...call: readonly string[]): Promise<OtherOutcome> {
    this.#child.stdin?.write(`${JSON.stringify(call)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the other process has ended: its module made no backend, or its call ended it');
    return JSON.parse(value) as OtherOutcome;
  }
}
