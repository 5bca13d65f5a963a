import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('worker-process.js', import.meta.url));

/** A worker process for each shard. */
export class Workers {
  readonly #directory: string;
  readonly #processes: ChildProcess[];
  #failure: Error | undefined;

  constructor(directory: string, shards: number) {
    this.#directory = directory;
    this.#processes = Array.from({ length: shards }, (_, shard) => this.#start(shard));
  }

  /** Waits a moment. @throws when a worker has ended by itself */
  async turn(): Promise<void> {
    await delay(5);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Kills a worker in the middle of what it does, and starts it again. */
  async kill(shard: number): Promise<void> {
    const worker = this.#processes[shard] as ChildProcess;
    worker.kill('SIGKILL');
    await exited(worker);
    this.#processes[shard] = this.#start(shard);
  }

  /** Ends all workers, each behind the jobs that it has begun. */
  async end(): Promise<void> {
    for (const worker of this.#processes) worker.kill('SIGTERM');
    await Promise.all(this.#processes.map(exited));
  }

  #start(shard: number): ChildProcess {
    const worker = spawn(process.execPath, [PROGRAM, this.#directory, String(shard)], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    worker.once('exit', (code) => {
      if (code !== null && code !== 0) this.#failure = new Error(`the worker of shard ${shard} ended with ${code}`);
    });
    return worker;
  }
}

async function exited(worker: ChildProcess): Promise<void> {
  if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit');
}
