import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { Worker, type WorkerOptions } from 'node:worker_threads';

const entry = new URL('../dist/index.js', import.meta.url).href;

/** The start of every program: the package as `native`, and what `node:fs` has as `fs`. */
const PROLOGUE = `import * as native from ${JSON.stringify(entry)};
import * as fs from 'node:fs';
const entry = ${JSON.stringify(entry)};
import { setImmediate as turn } from 'node:timers/promises';
/** Collects garbage until its finalizers have run, too. */
const collect = async () => { for (let i = 0; i < 5; i++) { globalThis.gc(); await turn(); } };
const openFiles = () => fs.readdirSync('/proc/self/fd').length;
const mappingsOf = (path) => fs.readFileSync('/proc/self/maps', 'utf8').split('\\n').filter((line) => line.includes(path)).length;
`;

export interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
  readonly signal: string | null;
}

/**
 * The versions of Node.js to run a program on: this one, and those that `WALSTACK_TEST_NODES` names (such as `22,24`),
 * which npx fetches.
 */
export const nodes: readonly (readonly [name: string, node: readonly [string, ...string[]]])[] = [
  ['this Node.js', [process.execPath]],
  ...(process.env['WALSTACK_TEST_NODES'] ?? '')
    .split(',')
    .filter((version) => version !== '')
    .map((version) => [`Node.js ${version}`, ['npx', '--yes', `node@${version}`]] as const),
];

/** How a program is run. */
export interface RunOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The command that runs it, and what comes before the program. Default: this Node.js. */
  readonly node?: readonly [command: string, ...args: string[]];
}

/** Runs a module in a process of its own, with `gc()`, and says how it ended. */
export async function runProgram(source: string, options: RunOptions = {}): Promise<Ended> {
  const { args = [], env = {}, node = [process.execPath] } = options;
  const [command, ...before] = node;
  const evaluated = ['--expose-gc', '--input-type=module', '--eval', PROLOGUE + source, ...args];
  const settings = { encoding: 'utf8', env: { ...process.env, ...env } } as const;
  try {
    const { stdout, stderr } = await promisify(execFile)(command, [...before, ...evaluated], settings);
    return { stdout, stderr, code: 0, signal: null };
  } catch (error) {
    // What promisify adds to the error of a program that failed.
    const { stdout, stderr, code, signal } = error as Ended;
    return { stdout, stderr, code, signal };
  }
}

/** The same, running until it ends by itself or is killed. */
export class RunningProgram {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  constructor(source: string, args: readonly string[] = []) {
    const evaluated = ['--input-type=module', '--eval', PROLOGUE + source, ...args];
    this.#process = spawn(process.execPath, evaluated, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  /** The next line that it prints. */
  async line(): Promise<string> {
    return (await this.#lines.next()).value;
  }

  /** Kills it, with no chance for it to do anything more, and waits until it is gone. */
  async kill(): Promise<void> {
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }
}

/** Runs a module in a worker thread and returns what it posts first. What it was given is in `workerData`. */
export async function runInWorker(source: string, workerData: unknown, options: WorkerOptions = {}): Promise<unknown> {
  const code = `${PROLOGUE}import { parentPort, workerData } from 'node:worker_threads';\n${source}`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { ...options, workerData });
  const [message] = await once(worker, 'message');
  await worker.terminate();
  return message;
}
