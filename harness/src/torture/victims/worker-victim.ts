import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Job } from '../job.js';
import { Transcript, type Victim } from './victim.js';

/** What a worker is given. */
export interface WorkerData {
  readonly job: Job;
  /** Path of the file that it reports to. */
  readonly reports: string;
}

/** A worker thread that is terminated. */
export class WorkerVictim implements Victim {
  readonly transcript = new Transcript();
  readonly tellsAtOnce = false;
  readonly #entry: URL;
  #reports = '';
  #worker: Worker | undefined;
  #exit: Promise<unknown> | undefined;
  #killed = false;

  constructor(entry: URL) {
    this.#entry = entry;
  }

  start(job: Job): void {
    // Beside the log, and of this run alone: reports of another run would be taken for its own.
    this.#reports = `${job.directory}.run-${job.run}`;
    const workerData: WorkerData = { job, reports: this.#reports };
    const worker = new Worker(this.#entry, { workerData });
    worker.on('error', (error) => this.#complain(`it failed: ${error.stack}`));
    this.#worker = worker;
    this.#exit = once(worker, 'exit').then(() => {
      if (!this.#killed) this.#complain('it ended by itself');
    });
  }

  async kill(): Promise<void> {
    this.#killed = true;
    await this.#worker?.terminate();
    await this.#exit;
    this.transcript.take(readReports(this.#reports));
    this.transcript.end();
    rmSync(this.#reports, { force: true });
  }

  #complain(text: string): void {
    this.transcript.reports.push({ what: 'wrong', text });
  }
}

/** It may have been terminated before it made the file. */
function readReports(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
