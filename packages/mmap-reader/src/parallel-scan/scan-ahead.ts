import { Worker } from 'node:worker_threads';
import { WalError } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import type { Link } from '../chain/chain.js';
import { recycled } from '../chain/corruption.js';
import type { FileWindows, Window } from '../frames/file-windows.js';
import type { FrameScanner } from '../frames/frame-scanner.js';
import { Frames } from '../frames/frames.js';
import { tryToMap } from '../frames/mapped-file.js';
import { ReadFile } from '../frames/read-file.js';
import { MOST_FRAMES } from '../frames/window-scanner.js';
import { COUNTERS, type FoundFrames, type ScanAnswer, type ScanJob, type ScanWorkerData } from './scan-protocol.js';

/** How many threads may scan ahead. */
export const MOST_WORKERS = 32;

/** What a worker has answered of one job and was not used yet. */
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
    return new AheadScanner(link, this, index);
  }

  /** The next answer of a job. */
  *answer(job: number): IoRoutine<ScanAnswer> {
    const inbox = this.#inboxes.get(job);
    if (inbox === undefined) return { job, offsets: undefined };
    while (inbox.answers.length === 0) {
      yield (resume) => {
        // Only a call that waits for a thread keeps the process alive for it.
        for (const worker of this.#workers) worker.ref();
        inbox.wake = resume;
      };
    }
    for (const worker of this.#workers) worker.unref();
    Atomics.add(this.#used, job % COUNTERS, 1);
    Atomics.notify(this.#used, job % COUNTERS);
    return inbox.answers.shift() as ScanAnswer;
  }

  /** A segment is not read any more. */
  done(job: number): void {
    this.#inboxes.delete(job);
    // A worker that waits to go on with it need not wait.
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
    // What waits goes on without it.
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

/** Maps a segment; `undefined` when it is not this one any more, or cannot be mapped. */
function map({ path, header }: Link): FileWindows | undefined {
  const file = tryToMap(path, false);
  try {
    if (file?.hasId(header.segmentId) === true) return file;
  } catch {
    // Reading it without help says what is wrong.
  }
  file?.close();
  return undefined;
}

/**
 * Reads a segment of which a worker finds the frames: in the memory that the worker has verified them in, or, where the
 * worker has it mapped, through a mapping of its own. What was only read is not read a second time, as the file may hold
 * something else by then.
 */
class AheadScanner implements FrameScanner {
  readonly frames: Frames;
  readonly #link: Link;
  readonly #ahead: ScanAhead;
  readonly #job: number;
  #file: FileWindows | undefined;
  #window: Window | undefined;
  /** What was found last, where it came with its memory. */
  #moved: FoundFrames | undefined;
  /** Whether there is nothing more to come, or it makes no sense. */
  #isOver = false;

  constructor(link: Link, ahead: ScanAhead, job: number) {
    const { path, header } = link;
    this.#link = link;
    this.#ahead = ahead;
    this.#job = job;
    this.frames = new Frames(path, header, header.blockBytes, header.firstLsn, MOST_FRAMES);
  }

  *fill(): IoRoutine<boolean> {
    const { frames } = this;
    while (!this.#isOver && !frames.stopped) {
      const answer = yield* this.#ahead.answer(this.#job);
      if (answer.offsets === undefined || !this.#look(answer)) this.#isOver = true;
      if (!this.#isOver && !frames.isEmpty) return true;
    }
    return false;
  }

  restore(): boolean {
    const { frames } = this;
    const window = this.#window;
    if (this.#moved !== undefined) return this.#readAgain(this.#moved);
    if (window === undefined || window.bytes.length === window.length || this.#file?.isClosed !== false) return false;
    this.#window = this.#file.renew(window);
    frames.replace(this.#window.bytes, this.#window.guard);
    return true;
  }

  close(): void {
    this.frames.close();
    this.#file?.close();
    this.#ahead.done(this.#job);
  }

  /** Has the memory that frames were found in. @returns whether it could be had */
  #look(found: FoundFrames): boolean {
    const { base, offsets, bytes } = found;
    const { frames } = this;
    this.restore();
    const behind = frames.end;
    if (bytes !== undefined) {
      this.#moved = found;
      this.#window = undefined;
      frames.adopt(bytes, base, behind);
      frames.take(offsets);
      return true;
    }
    const [first, stop] = [offsets[0] as number, offsets.at(-1) as number];
    const window = this.#load(base, first, stop);
    if (window === undefined) return false;
    this.#moved = undefined;
    if (window !== this.#window) {
      this.#window = window;
      frames.adopt(window.bytes, window.base, behind, window.guard);
    }
    frames.take(offsets);
    return true;
  }

  /** Maps what a worker has looked at; `undefined` when that cannot be, or has become something else. */
  #load(base: number, first: number, stop: number): Window | undefined {
    try {
      this.#file ??= map(this.#link);
      const window = this.#file?.window(base, stop);
      if (window?.base !== base || stop > window.length) return undefined;
      this.#file?.load(window, first, stop - first);
      return window;
    } catch (error) {
      // No room for mappings, or it was cut: reading without a worker says what is wrong.
      if (WalError.is(error)) return undefined;
      throw error;
    }
  }

  /** Reads what was verified in memory that was moved away since, and verifies it again. @returns whether that was so */
  #readAgain({ base, offsets, bytes }: FoundFrames): boolean {
    if (bytes === undefined || bytes.length > 0) return false;
    const { path, header } = this.#link;
    const again = readRange(path, base, offsets.at(-1) as number);
    const frames = new Frames(path, header, base, header.firstLsn, offsets.length);
    frames.adopt(again, base);
    frames.scan(0, again.length);
    if (Buffer.compare(bytesOf(frames.offsets()), bytesOf(offsets)) !== 0) throw recycled(path, header.firstLsn);
    this.#moved = { job: this.#job, base, offsets, bytes: again };
    this.frames.replace(again);
    return true;
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Uint32Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

/** A stretch of a file in memory of its own. */
function readRange(path: string, position: number, length: number): Uint8Array<ArrayBuffer> {
  const file = new ReadFile(path, false);
  try {
    const { bytes, base } = file.window(position, length);
    return Uint8Array.from(bytes.subarray(position - base, position - base + length));
  } finally {
    file.close();
  }
}
