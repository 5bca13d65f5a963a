import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { encodeJob, type Job } from '../job.js';
import { REPORTS_FD } from '../workload/print.js';
import { Transcript, type Victim } from './victim.js';

/**
 * A process that is killed by SIGKILL. It is made some time before it is needed: starting Node.js takes longer than most
 * runs.
 */
export class ProcessVictim implements Victim {
  readonly transcript = new Transcript();
  readonly tellsAtOnce = true;
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #errors = '';
  #killed = false;

  constructor(entry: URL) {
    this.#child = spawn(process.execPath, [fileURLToPath(entry)], {
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
      // A signal from the keyboard is not meant for it.
      detached: true,
    });
    const { stdin, stderr, stdio } = this.#child;
    // A pipe, as it was asked for.
    const reports = stdio[REPORTS_FD] as Readable;
    reports.setEncoding('utf8').on('data', (text: string) => this.transcript.take(text));
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = `${this.#errors}${text}`.slice(-4000);
    });
    // Whether the job has reached it shows in what it reports.
    stdin?.on('error', () => {});
    this.#closed = once(this.#child, 'close').then(([code, signal]) => this.#close(code, signal));
  }

  start(job: Job): void {
    this.#child.stdin?.end(`${encodeJob(job)}\n`);
  }

  async kill(): Promise<void> {
    this.#killed = this.#child.kill('SIGKILL');
    await this.#closed;
  }

  #close(code: unknown, signal: unknown): void {
    if (!this.#killed || signal !== 'SIGKILL') {
      const how = signal === null ? `with code ${code}` : `by ${signal}`;
      this.transcript.reports.push({ what: 'wrong', text: `it ended by itself, ${how}: ${this.#errors}` });
    }
    this.transcript.end();
  }
}
