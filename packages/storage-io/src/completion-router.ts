import { CompletionBuffer } from './completion-buffer.js';
import type { IoToken, StorageIo } from './storage-io.js';

/** Told the result of one completion. It must not throw. */
export type CompletionOwner = (result: number) => void;

const routers = new WeakMap<StorageIo, CompletionRouter>();

/**
 * The only caller of `pollCompletions` and `waitCompletions` of its backend. It hands each completion to its owner, and
 * so lets several files, writers and background jobs share one backend.
 */
export class CompletionRouter {
  readonly io: StorageIo;
  readonly #owners = new Map<IoToken, CompletionOwner>();
  /** Buffers not in use: an owner may wait for other completions, which needs a buffer of its own. */
  readonly #buffers: CompletionBuffer[] = [];
  /** Owners of whatever completes next, once. */
  #waitingForRoom: (() => void)[] = [];

  private constructor(io: StorageIo) {
    this.io = io;
    io.onReady(() => this.drain());
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

  /** Has `resume` called once, after some completion was handed out: then a full queue has room again. */
  whenRoom(resume: () => void): void {
    this.#waitingForRoom.push(resume);
  }

  /** Hands out what has completed, without waiting, and returns how many. */
  drain(): number {
    let total = 0;
    for (;;) {
      const handedOut = this.#take((buffer) => this.io.pollCompletions(buffer));
      total += handedOut;
      if (handedOut === 0) return total;
    }
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

  #take(fill: (buffer: CompletionBuffer) => number): number {
    const buffer = this.#buffers.pop() ?? new CompletionBuffer();
    try {
      const count = fill(buffer);
      for (let index = 0; index < count; index++) {
        const token = buffer.tokens[index] as number;
        const owner = this.#owners.get(token);
        this.#owners.delete(token);
        owner?.(buffer.results[index] as number);
      }
      if (count > 0 && this.#waitingForRoom.length > 0) this.#wakeForRoom();
      return count;
    } finally {
      this.#buffers.push(buffer);
    }
  }

  #wakeForRoom(): void {
    const waiting = this.#waitingForRoom;
    this.#waitingForRoom = [];
    for (const resume of waiting) resume();
  }
}
