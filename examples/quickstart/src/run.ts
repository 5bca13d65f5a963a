import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const COMMITTER = fileURLToPath(new URL('committer.js', import.meta.url));

/** The result of one run of the child process. */
export interface Run {
  /** The last line whose commit was acknowledged; 0 when none was. */
  readonly acknowledged: number;
  /** Whether it was killed before the end of the file. */
  readonly killed: boolean;
  /** From the opened log to the end, in milliseconds. */
  readonly elapsedMs: number;
  /** The backend that it used. */
  readonly backend: string;
}

/** The arguments of a run. */
export interface RunPlan {
  readonly log: string;
  readonly file: string;
  /** Commits under way at a time. */
  readonly inFlight: number;
  /** Kill it once this line was acknowledged; `undefined` to let it run to the end. */
  readonly killAtLine: number | undefined;
  readonly onProgress: (acknowledged: number) => void;
}

/** Starts the child process, and kills it at a random moment after the given line. */
export async function run({ log, file, inFlight, killAtLine, onProgress }: RunPlan): Promise<Run> {
  const child = spawn(process.execPath, [COMMITTER, log, file, String(inFlight)], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  let acknowledged = 0;
  let backend = '';
  let start = performance.now();
  let end = start;
  let doomed = false;
  for await (const message of createInterface({ input: child.stdio[3] as Readable })) {
    const [word, value] = message.split(' ') as [string, string | undefined];
    end = performance.now();
    if (word === 'open') {
      backend = value ?? '';
      start = end;
    } else if (word === 'ack') {
      acknowledged = Math.max(acknowledged, Number(value));
      onProgress(acknowledged);
    }
    if (!doomed && killAtLine !== undefined && acknowledged >= killAtLine) {
      doomed = true;
      void sleep(Math.random() * 2).then(() => child.kill('SIGKILL'));
    }
  }
  const { code, signal } = await ended;
  if (code !== 0 && signal !== 'SIGKILL') throw new Error(`the committing process ended with ${signal ?? code}`);
  return { acknowledged, killed: signal === 'SIGKILL', elapsedMs: end - start, backend };
}
