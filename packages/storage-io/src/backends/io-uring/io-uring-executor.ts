import { closeSync, constants, ftruncateSync, openSync } from 'node:fs';
import type { RingStats } from '@walstack/native';
import type { Executor, ExecutorKernel } from '../../engine/executor.js';
import type { DoneWithCount, FileNamespaceOps } from '../../engine/file-ops.js';
import { FileSync } from '../../engine/files/file-sync.js';
import { FileTail } from '../../engine/files/file-tail.js';
import type { OpenFile } from '../../engine/files/open-file.js';
import type { SubmissionKind, Submissions } from '../../engine/submissions/submissions.js';
import { AsyncTransfer, type TransferContext } from '../../engine/transfers/async-transfer.js';
import { roundDown, roundUp, Zeros } from '../../engine/transfers/zeros.js';
import { errnoNamed, errnoOf, systemError } from '../../errors/system-error.js';
import type { IoToken } from '../../storage-io.js';
import { RingOperation, RingOperations, type RingPort } from './completions-to-results.js';
import type { RegisteredBuffers } from './registered-buffers.js';

/** Called with the result of an operation that is one step of a larger one. */
type StepEnded = (result: number) => void;

/** How long to wait before operations that the kernel refused are submitted again. */
const RESUBMIT_DELAY_MS = 1;

/** A listener polls what has completed, and once more to see that it was all. */
const POLLS_IN_A_TURN = 2;

/** Never changes: waiting for it with a timeout is a sleep. */
const PAUSE = new Int32Array(new SharedArrayBuffer(4));

const NOT_SUPPORTED = errnoNamed('EOPNOTSUPP');

/** What an {@link IoUringExecutor} is made of. */
export interface IoUringExecutorParts {
  readonly ring: RingPort;
  readonly namespace: FileNamespaceOps<number>;
  readonly submissions: Submissions;
  /** How many submissions there may be at a time. */
  readonly maxPending: number;
  /** How many operations the kernel has at a time. */
  readonly maxInFlight: number;
  readonly registered: Pick<RegisteredBuffers, 'bufferIndex' | 'close'>;
  /** Whether the file system of an open file was shown to honour durable writes. Called once for each file. */
  readonly honoursDurableWrites: (fd: number) => boolean;
}

/**
 * Has the kernel carry out what was submitted, through an io_uring ring. Submitting only queues. What is not flushed
 * earlier goes to the kernel in one system call when the current turn of JavaScript ends, or at the next poll or wait.
 */
export class IoUringExecutor implements Executor<number>, ExecutorKernel {
  readonly inline = false;
  readonly canWait = true;
  readonly durableWrites = true;
  readonly kernel: ExecutorKernel = this;
  readonly #ring: RingPort;
  readonly #registered: IoUringExecutorParts['registered'];
  readonly #submissions: Submissions;
  readonly #honours: IoUringExecutorParts['honoursDurableWrites'];
  readonly #operations: RingOperations;
  /** For appends, and other operations at the end of a file that must not overlap: they proceed step by step. */
  readonly #steps: TransferContext<number>;

  /**
   * By slot: the submission that the slot belongs to. A step, one of several operations of a submission, has only {@link
   * #stepEnded}. What the ring is asked to do is kept by slot in {@link RingOperations}, the memory that the kernel uses in
   * the ring.
   */
  readonly #tokens: Float64Array;
  readonly #kinds: (SubmissionKind | undefined)[];
  readonly #files: (OpenFile<number> | undefined)[];
  readonly #stepEnded: (StepEnded | undefined)[];

  #flushScheduled = false;
  #inReadyTurn = false;
  /** The polls of this turn that find what was reaped for them: the ring is not looked at again. */
  #pollsOfReaped = 0;
  #resubmitTimer: NodeJS.Timeout | undefined;

  constructor(parts: IoUringExecutorParts) {
    const { ring, registered, namespace, submissions, maxPending, maxInFlight } = parts;
    this.#ring = ring;
    this.#honours = parts.honoursDurableWrites;
    this.#registered = registered;
    this.#submissions = submissions;
    this.#operations = new RingOperations(ring, maxPending, maxInFlight, registered, this.#ended);
    this.#steps = {
      size: namespace.size,
      read: this.#step(RingOperation.read),
      write: this.#step(RingOperation.write),
      zeros: new Zeros(namespace),
      submissions,
      writeDurable: (file, data, offset, done) => this.#writeDurably(file, data, offset, answered(done)),
    };
    this.#tokens = new Float64Array(maxPending);
    this.#kinds = new Array(maxPending);
    this.#files = new Array(maxPending);
    this.#stepEnded = new Array(maxPending);
    ring.onReady(this.#onReady);
  }

  write(token: IoToken, file: OpenFile<number>, data: Uint8Array, offset: number, durable: boolean): void {
    const end = offset + data.length;
    const kind = durable ? 'durable-write' : 'write';
    if (file.tail?.mustQueue(end)) {
      AsyncTransfer.at(this.#steps, token, file, kind, data, offset).queueAtTail(file.tail);
      return;
    }
    if (data.length === 0) {
      this.#submissions.finish(token, kind, 0, file);
      return;
    }
    if (end > file.writesEnd) file.writesEnd = end;
    if (durable && !this.#honoursDurable(file)) {
      this.#writeDurably(file, data, offset, (result) => this.#submissions.finish(token, kind, result, file));
      return;
    }
    const operation = durable ? RingOperation.durableWrite : RingOperation.write;
    const slot = this.#slotFor(token, kind, file);
    this.#operations.transfer(slot, operation, file.handle, data, offset, file.io.alignment);
    this.#scheduleFlush();
  }

  append(token: IoToken, file: OpenFile<number>, data: Uint8Array): void {
    file.tail ??= new FileTail();
    AsyncTransfer.append(this.#steps, token, file, data).queueAtTail(file.tail);
  }

  read(token: IoToken, file: OpenFile<number>, into: Uint8Array, offset: number): void {
    if (into.length === 0) {
      this.#submissions.finish(token, 'read', 0, file);
      return;
    }
    const slot = this.#slotFor(token, 'read', file);
    this.#operations.transfer(slot, RingOperation.read, file.handle, into, offset, file.io.alignment);
    this.#scheduleFlush();
  }

  datasync(token: IoToken, file: OpenFile<number>): void {
    this.#syncOf(file).add((result) => this.#submissions.finish(token, 'sync', result, file));
  }

  /** Before Linux 6.9 rings have no truncate: then it is done at once, in the calling thread. */
  truncate(token: IoToken, file: OpenFile<number>, bytes: number): void {
    if (!this.#ring.canTruncate) {
      this.#submissions.finish(
        token,
        'other',
        resultOf(() => ftruncateSync(file.handle, bytes)),
        file,
      );
      return;
    }
    const slot = this.#slotFor(token, 'other', file);
    this.#operations.control(slot, RingOperation.truncate, file.handle, 0, bytes);
    this.#scheduleFlush();
  }

  allocate(token: IoToken, file: OpenFile<number>, offset: number, bytes: number): void {
    if (bytes === 0) {
      this.#submissions.finish(token, 'other', 0, file);
      return;
    }
    const { alignment } = file.io;
    const from = roundDown(offset, alignment);
    const to = roundUp(offset + bytes, alignment);
    const ended: StepEnded = (result) => {
      if (result !== NOT_SUPPORTED) {
        this.#submissions.finish(token, 'other', result, file);
        return;
      }
      // Where the file system cannot reserve blocks, zeros are written.
      file.tail ??= new FileTail();
      AsyncTransfer.fill(this.#steps, token, file, from, to).queueAtTail(file.tail);
    };
    this.#operations.control(this.#slotForStep(ended), RingOperation.allocate, file.handle, from, to - from);
    this.#scheduleFlush();
  }

  remove(token: IoToken, path: string): void {
    this.#operations.remove(this.#slotFor(token, 'other', undefined), path);
    this.#scheduleFlush();
  }

  syncDirectory(token: IoToken, path: string): void {
    let fd: number;
    try {
      fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    } catch (error) {
      this.#submissions.finish(token, 'sync', errnoOf(error), undefined);
      return;
    }
    const ended: StepEnded = (result) => {
      const closed = resultOf(() => closeSync(fd));
      this.#submissions.finish(token, 'sync', result < 0 ? result : closed, undefined);
    };
    this.#operations.control(this.#slotForStep(ended), RingOperation.sync, fd, 0, 0);
    this.#scheduleFlush();
  }

  flush(): number {
    const count = this.#operations.submit();
    if (this.#operations.unsubmitted) this.#scheduleResubmit();
    return count;
  }

  reap(): void {
    const { unsubmitted } = this.#operations;
    if (this.#pollsOfReaped > 0) {
      this.#pollsOfReaped--;
      if (!unsubmitted) return;
    }
    this.#submissions.suppressNotify();
    try {
      // Entering the kernel also lets it post completions that are ready.
      if (unsubmitted) this.flush();
      this.#operations.reap();
    } finally {
      this.#submissions.resumeNotify();
    }
    if (this.#operations.unsubmitted) this.#scheduleFlush();
  }

  wait(wanted: number, timeoutMs: number | undefined): void {
    if (this.#submissions.finished >= wanted) this.reap();
    const deadline = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
    this.#submissions.suppressNotify();
    try {
      for (let left = timeoutMs; this.#submissions.finished < wanted; ) {
        const completed = this.#operations.wait(wanted - this.#submissions.finished, left);
        if (left === 0) break;
        if (deadline !== undefined) left = Math.max(0, Math.ceil(deadline - performance.now()));
        // The kernel accepts nothing now, and has nothing under way.
        if (completed === 0 && this.#operations.inKernel === 0) Atomics.wait(PAUSE, 0, 0, 1);
      }
    } finally {
      this.#submissions.resumeNotify();
    }
    if (this.#operations.unsubmitted) this.#scheduleFlush();
  }

  stats(): RingStats {
    return this.#ring.stats();
  }

  close(): void {
    clearTimeout(this.#resubmitTimer);
    this.#registered.close();
    this.#ring.close();
  }

  /** On the event loop: reaps completions, notifies the listener, and submits what the listener queued in one call. */
  readonly #onReady = (): void => {
    this.#inReadyTurn = true;
    try {
      this.#submissions.suppressNotify();
      try {
        this.#operations.reap();
      } finally {
        this.#submissions.resumeNotify();
      }
      this.#pollsOfReaped = POLLS_IN_A_TURN;
      this.#submissions.notify();
    } finally {
      this.#inReadyTurn = false;
      this.#pollsOfReaped = 0;
      // Also when the listener throws: what it has queued before is submitted.
      this.#flushFromEventLoop();
    }
  };

  readonly #ended = (slot: number, result: number): void => {
    const step = this.#stepEnded[slot];
    if (step !== undefined) {
      this.#stepEnded[slot] = undefined;
      step(result);
      return;
    }
    const file = this.#files[slot];
    this.#files[slot] = undefined;
    this.#submissions.finish(this.#tokens[slot] as number, this.#kinds[slot] ?? 'other', result, file);
  };

  #slotFor(token: IoToken, kind: SubmissionKind, file: OpenFile<number> | undefined): number {
    const slot = this.#operations.takeSlot();
    this.#tokens[slot] = token;
    this.#kinds[slot] = kind;
    this.#files[slot] = file;
    return slot;
  }

  #slotForStep(ended: StepEnded): number {
    const slot = this.#operations.takeSlot();
    this.#stepEnded[slot] = ended;
    return slot;
  }

  /** Nothing stays unsubmitted: it is flushed before the event loop goes on. */
  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#inReadyTurn) return;
    this.#flushScheduled = true;
    process.nextTick(this.#scheduledFlush);
  }

  readonly #scheduledFlush = (): void => {
    this.#flushScheduled = false;
    this.#flushFromEventLoop();
  };

  /**
   * Submits what waits. If the ring fails, everything in flight ends in this call, and the listener is notified behind it: in
   * the middle it could wait for what has not ended yet.
   */
  #flushFromEventLoop(): void {
    if (!this.#operations.unsubmitted) return;
    this.#submissions.suppressNotify();
    try {
      this.flush();
    } finally {
      this.#submissions.resumeNotify();
      this.#submissions.notify();
    }
  }

  /** The kernel refused it now (`EAGAIN`, `EBUSY`), or has as much as it may have: completions make room. */
  #scheduleResubmit(): void {
    if (this.#resubmitTimer !== undefined || this.#operations.inKernel > 0) return;
    this.#resubmitTimer = setTimeout(() => {
      this.#resubmitTimer = undefined;
      this.#scheduledFlush();
    }, RESUBMIT_DELAY_MS);
  }

  /** An operation of those of which appends, fills and the writes that wait for them consist. */
  #step(operation: typeof RingOperation.read | typeof RingOperation.write): TransferContext<number>['write'] {
    return (file, bytes, offset, done) => {
      const slot = this.#slotForStep(answered(done));
      this.#operations.transfer(slot, operation, file.handle, bytes, offset, file.io.alignment);
      this.#scheduleFlush();
    };
  }

  #honoursDurable(file: OpenFile<number>): boolean {
    file.durableWrites ??= this.#honours(file.handle);
    return file.durableWrites;
  }

  /** Writes all of `data`; the bytes that `ended` is called with are on stable storage. */
  #writeDurably(file: OpenFile<number>, data: Uint8Array, offset: number, ended: StepEnded): void {
    const { handle, io } = file;
    if (this.#honoursDurable(file)) {
      const slot = this.#slotForStep(ended);
      this.#operations.transfer(slot, RingOperation.durableWrite, handle, data, offset, io.alignment);
    } else {
      this.#submissions.countDurableBySync();
      const written: StepEnded = (count) => {
        if (count < 0) ended(count);
        else this.#syncOf(file).add((result) => ended(result < 0 ? result : count));
      };
      this.#operations.transfer(this.#slotForStep(written), RingOperation.write, handle, data, offset, io.alignment);
    }
    this.#scheduleFlush();
  }

  #syncOf(file: OpenFile<number>): FileSync {
    file.sync ??= new FileSync((ended) => {
      this.#operations.control(this.#slotForStep(ended), RingOperation.datasync, file.handle, 0, 0);
      this.#scheduleFlush();
    }, !this.#honoursDurable(file));
    return file.sync;
  }
}

/** Passes a result on to a callback of the form that `node:fs` has. */
const answered =
  (done: DoneWithCount): StepEnded =>
  (result) => {
    if (result < 0) done(systemError(result, 'io_uring'));
    else done(undefined, result);
  };

/** 0, or the error number of what the call throws. */
function resultOf(call: () => void): number {
  try {
    call();
    return 0;
  } catch (error) {
    return errnoOf(error);
  }
}
