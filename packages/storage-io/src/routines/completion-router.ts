import { CompletionBuffer } from '../completion-buffer.js';
import { callListener } from '../errors/uncaught.js';
import type { IoToken, StorageIo } from '../storage-io.js';
import { beginStep, endStep } from './steps-under-way.js';
import { continueInThisTurn, onNextTurn } from './turns.js';

/**
 * Called with the result of one completion. It should not throw: what it throws becomes an uncaught exception, since no
 * caller could handle it.
 */
export type CompletionOwner = (result: number) => void;

/** Completions that were polled, and how many of them were handed out. */
interface Batch {
  readonly buffer: CompletionBuffer;
  count: number;
  handedOut: number;
}

/** After this many completions handed out in one turn of the event loop, the rest waits for a later turn. */
const COMPLETIONS_PER_TURN = 32;

const routers = new WeakMap<StorageIo, CompletionRouter>();

/**
 * The only caller of `pollCompletions` and `waitCompletions` of its backend. It hands each completion to its owner, so
 * that several files, writers and background jobs can share one backend.
 */
export class CompletionRouter {
  readonly io: StorageIo;
  readonly #owners = new Map<IoToken, CompletionOwner>();
  /** Batches not in use: an owner may wait for other completions in its turn, which needs another batch. */
  readonly #spare: Batch[] = [];
  /** Batches being handed out, the outermost first. */
  readonly #underWay: Batch[] = [];
  /** Called once, when completions are handed out next. */
  #waitingForSpace: (() => void)[] = [];
  /** Routines that wait for the next turn of the event loop. */
  #waitingForTurn = 0;
  /** Called when nothing waits for a completion any more. */
  readonly #waitingForSettled: (() => void)[] = [];

  private constructor(io: StorageIo) {
    this.io = io;
    io.onReady(() => this.#drainUntil(COMPLETIONS_PER_TURN));
  }

  /** The router of a backend: always the same one for the same backend. */
  static for(io: StorageIo): CompletionRouter {
    let router = routers.get(io);
    if (router === undefined) {
      router = new CompletionRouter(io);
      routers.set(io, router);
    }
    return router;
  }

  /** Submissions that an owner still waits for, and routines that wait for the next turn of the event loop. */
  get pending(): number {
    return this.#owners.size + this.#waitingForTurn;
  }

  /**
   * Calls `owner` when `token` completes. To be called in the same turn as the submission: no completion is handed out
   * in between.
   */
  expect(token: IoToken, owner: CompletionOwner): void {
    this.#owners.set(token, owner);
  }

  /** Resolves when nothing waits for a completion, or for the next turn of the event loop, any more. */
  settled(): Promise<void> {
    if (this.pending === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waitingForSettled.push(resolve);
    });
  }

  /** Calls `resume` once, when completions are handed out: then a full queue has space again. */
  onQueueSpace(resume: () => void): void {
    this.#waitingForSpace.push(resume);
  }

  /**
   * Calls `resume` once in the next turn of the event loop. A call that blocks the thread or drains the router meanwhile
   * calls it sooner: it may wait for what continues then, and there is no turn before it returns.
   */
  onTurn(resume: () => void): void {
    this.#waitingForTurn++;
    onNextTurn(() => {
      this.#waitingForTurn--;
      resume();
      if (this.pending === 0) this.#wakeSettled();
    });
  }

  /** Hands out what has completed, without waiting, and returns how many. */
  drain(): number {
    const handedOut = this.#drainUntil(Number.POSITIVE_INFINITY);
    return this.#waitingForTurn === 0 ? handedOut : handedOut + continueInThisTurn();
  }

  /**
   * Blocks the thread until at least one completion was handed out, and returns how many; 0 only when nothing is
   * pending.
   *
   * @throws `WAL_UNSUPPORTED` on a backend that cannot wait
   */
  wait(): number {
    if (this.#waitingForTurn > 0) {
      // What has completed comes first: a long reading may wait for one turn after the other.
      const handedOut = this.#take((buffer) => this.io.pollCompletions(buffer));
      return handedOut > 0 ? handedOut : continueInThisTurn();
    }
    return this.#take((buffer) => this.io.waitCompletions(buffer, 1));
  }

  /**
   * On a backend that completes inside the submission, the next submission of an owner has completed already when it
   * returns: without a limit, a routine of many steps would block the event loop until its end.
   */
  #drainUntil(enough: number): number {
    let total = 0;
    while (total < enough) {
      const handedOut = this.#take((buffer) => this.io.pollCompletions(buffer));
      if (handedOut === 0) break;
      total += handedOut;
    }
    return total;
  }

  #take(fill: (buffer: CompletionBuffer) => number): number {
    const left = this.#handOutWhatIsLeft();
    if (left > 0) return left;
    const batch = this.#spare.pop() ?? { buffer: new CompletionBuffer(), count: 0, handedOut: 0 };
    this.#underWay.push(batch);
    try {
      batch.handedOut = 0;
      batch.count = fill(batch.buffer);
      const { count } = batch;
      if (count > 0 && this.#waitingForSpace.length > 0) this.#wakeForSpace();
      this.#handOut(batch);
      return count;
    } finally {
      if (this.pending === 0) this.#wakeSettled();
      this.#underWay.pop();
      batch.count = 0;
      this.#spare.push(batch);
    }
  }

  /**
   * An owner may wait for a completion that was polled in the same batch as its own: that one comes from the batch, not
   * from the backend.
   */
  #handOutWhatIsLeft(): number {
    let total = 0;
    if (this.#underWay.length === 0) return total;
    for (const batch of [...this.#underWay]) total += this.#handOut(batch);
    return total;
  }

  #handOut(batch: Batch): number {
    const before = batch.handedOut;
    while (batch.handedOut < batch.count) {
      const index = batch.handedOut++;
      const token = batch.buffer.tokens[index] as number;
      const owner = this.#owners.get(token);
      this.#owners.delete(token);
      // An owner that throws does not prevent the others from being called.
      if (owner !== undefined) callListener(owner, batch.buffer.results[index] as number);
    }
    return batch.handedOut - before;
  }

  #wakeSettled(): void {
    if (this.#waitingForSettled.length === 0) return;
    for (const resolve of this.#waitingForSettled.splice(0)) resolve();
  }

  #wakeForSpace(): void {
    const waiting = this.#waitingForSpace;
    this.#waitingForSpace = [];
    beginStep();
    try {
      for (const resume of waiting) resume();
    } finally {
      endStep();
    }
  }
}
