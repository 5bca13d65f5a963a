import { createServer, type Server, type Socket } from 'node:net';
import { encodeReport } from '../../torture/reports.js';
import { listen } from '../disk/listen.js';
import type { Recorder } from '../record/recorder.js';
import type { GuestJob } from './job.js';

const GRACE_MS = 3000;
const ENDED = encodeReport({ what: 'wrong', text: 'it ended by itself' });

/** Where the logs of the guest get their jobs, one connection each, and what they report is recorded. */
export class LogLines {
  readonly #server: Server;
  readonly #jobs: readonly GuestJob[];
  readonly #recorder: Recorder;
  readonly #silent: Set<number>;
  readonly #talking: () => void;
  /** Resolves when each of them has reported something. */
  readonly allTalk: Promise<void>;
  #connections = 0;
  #closed = false;

  constructor(jobs: readonly GuestJob[], recorder: Recorder) {
    this.#jobs = jobs;
    this.#recorder = recorder;
    this.#silent = new Set(jobs.keys());
    let talking = (): void => {};
    this.allTalk = new Promise((resolve) => {
      talking = resolve;
    });
    this.#talking = talking;
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket, this.#connections++));
  }

  /** How many of them have reported nothing. */
  get silent(): number {
    return this.#silent.size;
  }

  /** @returns the port at which they are served, to this machine only */
  listen(): Promise<number> {
    return listen(this.#server);
  }

  /** Nothing is recorded any more. */
  close(): void {
    this.#closed = true;
    this.#server.close();
  }

  #serve(socket: Socket, log: number): void {
    const job = this.#jobs[log];
    if (job === undefined) throw new Error('the guest has more logs than jobs');
    let rest = '';
    socket.setEncoding('utf8').on('error', () => {});
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#record(log, line);
    });
    // The guest may have ended with it, which is a power cut.
    socket.on('close', () => setTimeout(() => this.#record(log, ENDED), GRACE_MS).unref());
    socket.write(`${JSON.stringify(job)}\n`);
  }

  #record(log: number, line: string): void {
    if (this.#closed) return;
    this.#recorder.report(log, line);
    this.#silent.delete(log);
    if (this.#silent.size === 0) this.#talking();
  }
}
