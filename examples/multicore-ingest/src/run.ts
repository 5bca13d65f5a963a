import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const INGESTER = fileURLToPath(new URL('ingester.js', import.meta.url));

/** The arguments of one run of the ingesting process. */
export interface RunPlan {
  readonly directory: string;
  readonly file: string;
  readonly cores: number;
  /** The process kills itself after so many durable lines; 0 for never. */
  readonly killAfter: number;
}

/** The result of one run of the ingesting process. */
export interface Run {
  /** Of each core, the number of the last line that was acknowledged; 0 when none was. */
  readonly acknowledged: readonly number[];
  /** How many lines were acknowledged. */
  readonly lines: number;
  /** The last epoch that was acknowledged as complete; 0 when none was. */
  readonly epoch: number;
  readonly killed: boolean;
  readonly elapsedMs: number;
}

/** Starts the ingesting process, and reads its acknowledgements until it has ended. */
export async function run({ directory, file, cores, killAfter }: RunPlan): Promise<Run> {
  const child = spawn(process.execPath, [INGESTER, directory, file, String(cores), String(killAfter)], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  const acknowledged = Array.from({ length: cores }, () => 0);
  let lines = 0;
  let epoch = 0;
  const start = performance.now();
  for await (const message of createInterface({ input: child.stdio[3] as Readable })) {
    const [word, first, second, third] = message.split(' ');
    if (word === 'ack') {
      acknowledged[Number(first)] = Number(second);
      lines += Number(third);
    } else if (word === 'epoch') epoch = Number(first);
  }
  const { code, signal } = await ended;
  if (code !== 0 && signal !== 'SIGKILL') throw new Error(`the ingesting process ended with ${signal ?? code}`);
  return { acknowledged, lines, epoch, killed: signal === 'SIGKILL', elapsedMs: performance.now() - start };
}
