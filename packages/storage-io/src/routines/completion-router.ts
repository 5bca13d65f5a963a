import { CompletionBuffer } from '../completion-buffer.js';
import { throwUncaught } from '../errors/uncaught.js';
import type { IoToken, StorageIo } from '../storage-io.js';
import { beginStep, endStep } from './steps-under-way.js';

/**
 * Told the result of one completion. It should not throw: what it throws is an uncaught exception, since there is nobody
 * else whom it concerns.
 */
export type CompletionOwner = (result: number) => void;

/** Completions that were polled, and how many of them were handed out. */
interface Batch {
  readonly buffer: CompletionBuffer;
  count: number;
  handedOut: number;
}

/** So many completions are handed out in one turn of the event loop at least; then others have their turn. */
const HANDED_OUT_PER_TURN = 32;

const routers = new WeakMap<StorageIo, CompletionRouter>();

/**
 * The only caller of `pollCompletions` and `waitCompletions` of its backend. It hands each completion to its owner, and
 * so lets several files, writers and background jobs share one backend.
 */
export class CompletionRouter {
  readonly io: StorageIo;
  readonly #owners = new Map<IoToken, CompletionOwner>();
  /** Batches not in use: an owner may wait for other completions, which needs a batch of its own. */
  readonly #spare: Batch[] = [];
  /** Batches being handed out, the outermost first. */
  readonly #underWay: Batch[] = [];
  /** Owners of whatever completes next, once. */
  #waitingForRoom: (() => void)[] = [];
  /** Told when nothing waits for a completion any more. */
  readonly #waitingForAll: (() => void)[] = [];

  private constructor(io: StorageIo) {
    this.io = io;
    io.onReady(() => this.#drainUntil(HANDED_OUT_PER_TURN));
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

  /** Submissions that an owner still waits for. */
  get pending(): number {
    return this.#owners.size;
  }

  /**
   * Has `owner` told when `token` completes. To be called in the same turn as the submission: no completion is handed
   * out in between.
   */
  expect(token: IoToken, owner: CompletionOwner): void {
    this.#owners.set(token, owner);
  }

  /** Resolves when nothing waits for a completion any more. */
  settled(): Promise<void> {
    if (this.#owners.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waitingForAll.push(resolve);
    });
  }

  /** Has `resume` called once, when completions are handed out: then a full queue has room again. */
  onQueueSpace(resume: () => void): void {
    this.#waitingForRoom.push(resume);
  }

  /** Hands out what has completed, without waiting, and returns how many. */
  drain(): number {
    return this.#drainUntil(Number.POSITIVE_INFINITY);
  }

  /**
   * Blocks the thread until at least one completion was handed out, and returns how many; 0 only when nothing is
   * pending.
   *
   * @throws `WAL_UNSUPPORTED` on a backend that cannot wait
   */
  wait(): number {
    return this.#take((buffer) => this.io.waitCompletions(buffer, 1));
  }

  /**
   * Where work is done inside the submission, an owner's next submission has completed before this one's are handed out:
   * without a limit, a routine of many steps would keep the event loop until its end.
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
      if (count > 0 && this.#waitingForRoom.length > 0) this.#wakeForRoom();
      this.#handOut(batch);
      return count;
    } finally {
      if (this.#owners.size === 0) this.#wakeSettled();
      this.#underWay.pop();
      batch.count = 0;
      this.#spare.push(batch);
    }
  }

  /**
   * An owner that was told of its completion may wait for one that was polled together with its own: that one comes from
   * the batch it is in, not from the backend.
   */
  #handOutWhatIsLeft(): number {
    let total = 0;
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
      if (owner !== undefined) tell(owner, batch.buffer.results[index] as number);
    }
    return batch.handedOut - before;
  }

  #wakeSettled(): void {
    for (const resolve of this.#waitingForAll.splice(0)) resolve();
  }

  #wakeForRoom(): void {
    const waiting = this.#waitingForRoom;
    this.#waitingForRoom = [];
    beginStep();
    try {
      for (const resume of waiting) resume();
    } finally {
      endStep();
    }
  }
}

/** One owner's failure does not keep the others from being told. */
function tell(owner: CompletionOwner, result: number): void {
  try {
    owner(result);
  } catch (error) {
    throwUncaught(error);
  }
}
