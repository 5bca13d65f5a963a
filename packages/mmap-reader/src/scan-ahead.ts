import { Worker } from 'node:worker_threads';
import type { IoRoutine } from '@walstack/storage-io';
import type { Link } from './chain.js';
import type { FileWindows, Window } from './file-windows.js';
import type { FrameScanner } from './frame-scanner.js';
import { Frames } from './frames.js';
import { tryToMap } from './mapped-file.js';
import { ReadFile } from './read-file.js';
import { COUNTERS, type FoundFrames, type ScanAnswer, type ScanJob, type ScanWorkerData } from './scan-protocol.js';
import { MOST_FRAMES } from './window-scanner.js';

/** How many threads may scan ahead. */
export const MOST_WORKERS = 32;

/** What a worker has answered of one job and nobody has used yet. */
interface Inbox {
  readonly answers: ScanAnswer[];
  /** Called when there is one more. */
  wake: (() => void) | undefined;
}

/**
 * Worker threads that verify checksums of sealed segments ahead of the reader, each a segment at a time, in order. They
 * say where the frames are; the reader looks at the same bytes through memory of its own.
 */
export class ScanAhead {
  readonly #links: readonly Link[];
  readonly #used = new Int32Array(new SharedArrayBuffer(COUNTERS * Int32Array.BYTES_PER_ELEMENT));
  readonly #workers: Worker[];
  readonly #inboxes = new Map<number, Inbox>();
  /** The next segment to be given to a worker. */
  #next = 0;

  constructor(links: readonly Link[], workers: number) {
    this.#links = links;
    this.#workers = Array.from({ length: Math.min(workers, links.length) }, () => this.#start());
  }

  /** Reads a segment, of which the frames are found elsewhere. To be called for one after the other, in order. */
  scanner(index: number): FrameScanner | undefined {
    const link = this.#links[index];
    if (link === undefined || this.#workers.length === 0) return undefined;
    const last = Math.min(index + this.#workers.length, this.#links.length - 1);
    while (this.#next <= last) this.#give(this.#next++);
    const file = open(link);
    return file === undefined ? undefined : new AheadScanner(link, file, this, index);
  }

  /** The next answer of a job. */
  *answer(job: number): IoRoutine<ScanAnswer> {
    const inbox = this.#inboxes.get(job);
    if (inbox === undefined) return { job, offsets: undefined };
    while (inbox.answers.length === 0) {
      yield (resume) => {
        // Only who waits for a thread keeps the process alive for it.
        for (const worker of this.#workers) worker.ref();
        inbox.wake = resume;
      };
    }
    for (const worker of this.#workers) worker.unref();
    Atomics.add(this.#used, job % COUNTERS, 1);
    Atomics.notify(this.#used, job % COUNTERS);
    return inbox.answers.shift() as ScanAnswer;
  }

  /** Nobody reads a segment any more. */
  done(job: number): void {
    this.#inboxes.delete(job);
    // A worker that waits to go on with it has nobody to wait for.
    Atomics.store(this.#used, job % COUNTERS, 0x7fff_ffff);
    Atomics.notify(this.#used, job % COUNTERS);
  }

  /** Ends the threads. Idempotent. */
  close(): void {
    for (const worker of this.#workers.splice(0)) void worker.terminate();
    this.#inboxes.clear();
  }

  #start(): Worker {
    const workerData: ScanWorkerData = { used: this.#used.buffer as SharedArrayBuffer };
    const worker = new Worker(new URL('./scan-worker.js', import.meta.url), { workerData, execArgv: [] });
    worker.unref();
    worker.on('message', (answer: ScanAnswer) => this.#receive(answer));
    // Who waits goes on without it.
    worker.on('error', () => this.#giveUp());
    return worker;
  }

  #give(job: number): void {
    const { path, header } = this.#links[job] as Link;
    Atomics.store(this.#used, job % COUNTERS, 0);
    this.#inboxes.set(job, { answers: [], wake: undefined });
    const message: ScanJob = { job, path, header };
    this.#workers[job % this.#workers.length]?.postMessage(message);
  }

  #receive(answer: ScanAnswer): void {
    const inbox = this.#inboxes.get(answer.job);
    if (inbox === undefined) return;
    inbox.answers.push(answer);
    const { wake } = inbox;
    inbox.wake = undefined;
    wake?.();
  }

  /** A thread has died: nothing more is to be expected of any. */
  #giveUp(): void {
    for (const job of this.#inboxes.keys()) this.#receive({ job, offsets: undefined });
    for (const worker of this.#workers.splice(0)) void worker.terminate();
  }
}

function open({ path, header }: Link): FileWindows | undefined {
  try {
    const file = tryToMap(path, false) ?? new ReadFile(path, false);
    if (file.hasId(header.segmentId)) return file;
    file.close();
  } catch {
    // Who reads it without help says what is wrong.
  }
  return undefined;
}

/** Reads a segment of which a worker finds the frames. */
class AheadScanner implements FrameScanner {
  readonly frames: Frames;
  readonly #file: FileWindows;
  readonly #ahead: ScanAhead;
  readonly #job: number;
  #window: Window;
  /** Whether there is nothing more to come, or it makes no sense. */
  #isOver = false;

  constructor({ path, header }: Link, file: FileWindows, ahead: ScanAhead, job: number) {
    this.#file = file;
    this.#ahead = ahead;
    this.#job = job;
    this.frames = new Frames(path, header, header.blockBytes, header.firstLsn, MOST_FRAMES);
    this.#window = file.window(0, 0);
    this.frames.adopt(this.#window.bytes, 0);
  }

  *fill(): IoRoutine<boolean> {
    const { frames } = this;
    while (!this.#isOver && !frames.stopped) {
      const answer = yield* this.#ahead.answer(this.#job);
      if (answer.offsets === undefined) this.#isOver = true;
      else this.#look(answer);
      if (!this.#isOver && !frames.isEmpty) return true;
    }
    return false;
  }

  restore(): boolean {
    const window = this.#window;
    if (window.bytes.length === window.length || this.#file.isClosed) return false;
    this.#window = this.#file.renew(window);
    this.frames.replace(this.#window.bytes);
    return true;
  }

  close(): void {
    this.frames.close();
    this.#file.close();
    this.#ahead.done(this.#job);
  }

  /** Has the memory that frames were found in. */
  #look({ base, offsets }: FoundFrames): void {
    const { frames } = this;
    this.restore();
    const [first, stop] = [offsets[0] as number, offsets.at(-1) as number];
    const behind = frames.end;
    const window = this.#file.window(base, stop);
    this.#file.load(window, first, Math.min(stop, window.length) - first);
    if (window !== this.#window) {
      this.#window = window;
      frames.adopt(window.bytes, window.base, behind);
    }
    if (window.base === base && stop <= window.length) frames.take(offsets);
    else this.#isOver = true;
  }
}
