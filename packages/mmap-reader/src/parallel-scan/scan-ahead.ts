import { Worker } from 'node:worker_threads';
import { WalError } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import { isTurnDue, TURN } from '@walstack/storage-io/internal';
import type { Link } from '../chain/chain.js';
import { recycled } from '../chain/chain-errors.js';
import type { FrameScanner } from '../frames/frame-scanner.js';
import { Frames } from '../frames/frames.js';
import { FRAMES_MAX } from '../frames/window-scanner.js';
import type { FileWindows, Window } from '../windows/file-windows.js';
import { tryToMap } from '../windows/mapped-file.js';
import { ReadFile } from '../windows/read-file.js';
import { COUNTERS, type FoundFrames, type ScanAnswer, type ScanJob, type ScanWorkerData } from './scan-protocol.js';

/** The maximum number of threads that scan ahead. */
export const WORKERS_MAX = 32;

/** The answers of a worker to one job that were not used yet. */
interface Inbox {
  readonly answers: ScanAnswer[];
  /** Called when an answer arrives. */
  wake: (() => void) | undefined;
}

/**
 * Worker threads that verify checksums of sealed segments ahead of the reader, each one segment at a time, in order.
 * They report the offsets of the frames; the reader reads the same bytes through its own mapping, or in memory that the
 * worker transfers.
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

  /** A scanner of a segment whose frames are found by a worker. To be called for the segments in order. */
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
        // A worker keeps the process alive only while a call waits for it.
        for (const worker of this.#workers) worker.ref();
        inbox.wake = resume;
      };
    }
    for (const worker of this.#workers) worker.unref();
    Atomics.add(this.#used, job % COUNTERS, 1);
    Atomics.notify(this.#used, job % COUNTERS);
    return inbox.answers.shift() as ScanAnswer;
  }

  /** A segment is no longer read. */
  done(job: number): void {
    this.#inboxes.delete(job);
    // Wakes a worker that waits to continue with it.
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
    // Readers that wait continue without workers.
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

  /** A worker has failed: ends all workers, and all their jobs. */
  #giveUp(): void {
    for (const job of this.#inboxes.keys()) this.#receive({ job, offsets: undefined });
    for (const worker of this.#workers.splice(0)) void worker.terminate();
  }
}

/** Maps a segment; `undefined` when the file was reused, or cannot be mapped. */
function map({ path, header }: Link): FileWindows | undefined {
  const file = tryToMap(path, false);
  try {
    if (file?.hasId(header.segmentId) === true) return file;
  } catch {
    // Reading it without a worker reports what is wrong.
  }
  file?.close();
  return undefined;
}

/**
 * Reads a segment whose frames are found by a worker: in the memory in which the worker verified them, or, where the
 * worker has the file mapped, through its own mapping. Without a mapping the file is not read a second time, because
 * its content may have changed by then.
 */
class AheadScanner implements FrameScanner {
  readonly frames: Frames;
  readonly #link: Link;
  readonly #ahead: ScanAhead;
  readonly #job: number;
  #file: FileWindows | undefined;
  #window: Window | undefined;
  /** The last frames found, if they came with their memory. */
  #moved: FoundFrames | undefined;
  /** Whether no further answer is used: the worker has ended, or its answer cannot be used. */
  #isOver = false;

  constructor(link: Link, ahead: ScanAhead, job: number) {
    const { path, header } = link;
    this.#link = link;
    this.#ahead = ahead;
    this.#job = job;
    this.frames = new Frames(path, header, header.blockBytes, header.firstLsn, FRAMES_MAX);
  }

  *fill(): IoRoutine<boolean> {
    const { frames } = this;
    while (!this.#isOver && !frames.stopped) {
      if (isTurnDue()) yield TURN;
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

  /** Gets the memory in which frames were found. @returns whether that was possible */
  #look(found: FoundFrames): boolean {
    const { base, offsets, bytes } = found;
    const { frames } = this;
    this.restore();
    const { end } = frames;
    if (bytes !== undefined) {
      this.#moved = found;
      this.#window = undefined;
      frames.adopt(bytes, base, end);
      frames.take(offsets);
      return true;
    }
    const [first, stop] = [offsets[0] as number, offsets.at(-1) as number];
    const window = this.#load(base, first, stop);
    if (window === undefined) return false;
    this.#moved = undefined;
    if (window !== this.#window) {
      this.#window = window;
      frames.adopt(window.bytes, window.base, end, window.guard);
    }
    frames.take(offsets);
    return true;
  }

  /** Maps what a worker has scanned; `undefined` when that is not possible, or the file has changed. */
  #load(base: number, first: number, stop: number): Window | undefined {
    try {
      this.#file ??= map(this.#link);
      const window = this.#file?.window(base, stop);
      if (window?.base !== base || stop > window.length) return undefined;
      this.#file?.load(window, first, stop - first);
      return window;
    } catch (error) {
      // No memory for mappings, or it was cut: reading without a worker reports what is wrong.
      if (WalError.is(error)) return undefined;
      throw error;
    }
  }

  /** If the verified memory was transferred away, reads and verifies it again. @returns whether that was the case */
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

/** Reads a range of a file into new memory. */
function readRange(path: string, position: number, length: number): Uint8Array<ArrayBuffer> {
  const file = new ReadFile(path, false);
  try {
    const { bytes, base } = file.window(position, length);
    return Uint8Array.from(bytes.subarray(position - base, position - base + length));
  } finally {
    file.close();
  }
}
