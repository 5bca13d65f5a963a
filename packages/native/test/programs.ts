import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

const entry = new URL('../dist/index.js', import.meta.url).href;

/** The start of every program: the package as `native`, and what `node:fs` has as `fs`. */
const PROLOGUE = `import * as native from ${JSON.stringify(entry)};
import * as fs from 'node:fs';
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

/** Runs a module in a process of its own, with `gc()`, and says how it ended. Its arguments are in `process.argv`. */
export async function runProgram(
  source: string,
  args: readonly string[] = [],
  node?: readonly string[],
): Promise<Ended> {
  const [command = process.execPath, ...before] = node ?? [];
  const evaluated = ['--expose-gc', '--input-type=module', '--eval', PROLOGUE + source, ...args];
  try {
    const { stdout, stderr } = await promisify(execFile)(command, [...before, ...evaluated], { encoding: 'utf8' });
    return { stdout, stderr, code: 0, signal: null };
  } catch (error) {
    const { stdout, stderr, code, signal } = error as Ended;
    return { stdout, stderr, code, signal };
  }
}

/** Runs a module in a worker thread and returns what it posts first. What it was given is in `workerData`. */
export async function runInWorker(source: string, workerData: unknown): Promise<unknown> {
  const code = `${PROLOGUE}import { parentPort, workerData } from 'node:worker_threads';\n${source}`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { workerData });
  const [message] = await once(worker, 'message');
  await worker.terminate();
  return message;
}
