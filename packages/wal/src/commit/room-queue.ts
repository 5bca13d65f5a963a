import { WalError } from '@walstack/codec';
import { aborted, onAbort } from '@walstack/storage-io/internal';

/** A call that waits for room in memory, linked to its neighbours in the queue. */
interface Waiter {
  /** Appends; throws `WAL_BACKPRESSURE` while there is no room. */
  readonly enter: () => void;
  readonly reject: (error: unknown) => void;
  /** Ends the listening to its signal. */
  stopListening: (() => void) | undefined;
  before: Waiter | undefined;
  after: Waiter | undefined;
}

/**
 * The queue of appends to a log whose memory is full, or whose end is being cut off, in the order of the calls. Nothing
 * overtakes: while a call waits, later calls wait, too. Entering and leaving take constant time.
 */
export class RoomQueue {
  #first: Waiter | undefined;
  #last: Waiter | undefined;
  #size = 0;
  /**
   * An append was refused, and nothing was written since. The append may need more memory than is free: if `ready` let it
   * try again at once, it would be refused again and again without a write in between.
   */
  #full = false;
  /** The number of running calls that pause the queue. */
  #pauses = 0;
  /** The first call has left the queue, and the calls after it are tried in a microtask. */
  #turnScheduled = false;

  get size(): number {
    return this.#size;
  }

  /** Whether new calls have to wait. */
  get isClosed(): boolean {
    return this.#pauses > 0 || this.#size > 0;
  }

  /** Whether a call waits only for room, so that a write would admit it. */
  get waitsForRoom(): boolean {
    return this.#pauses === 0 && this.#size > 0;
  }

  /** Admits nothing until {@link resume}. */
  pause(): void {
    this.#pauses++;
  }

  /** Ends a {@link pause}, and admits the calls that find room. */
  resume(): void {
    this.#pauses--;
    this.admit();
  }

  /** Records that an append was refused for lack of room: until a write makes room, all calls wait. */
  refused(): void {
    this.#full = true;
  }

  /**
   * Calls `append` now, or when there is room again and all earlier calls were admitted.
   *
   * @param signal - removes the call from the queue when it is aborted
   */
  enter<T>(append: () => T, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const enter = (): void => resolve(append());
      if (signal?.aborted === true) throw waitingAborted(signal);
      const waiter: Waiter = { enter, reject, stopListening: undefined, before: undefined, after: undefined };
      if (!this.#full && !this.isClosed && admits(waiter)) return;
      this.#push(waiter);
      if (signal !== undefined) waiter.stopListening = onAbort(signal, () => this.#leave(waiter, signal));
    });
  }

  /** Admits the calls that find room, after a write made some. */
  admit(): void {
    this.#full = false;
    this.#admitInTurn();
  }

  /** Rejects all waiting calls. */
  rejectAll(error: unknown): void {
    this.#full = false;
    for (let waiter = this.#first; waiter !== undefined; waiter = this.#first) {
      this.#remove(waiter);
      waiter.reject(error);
    }
  }

  #admitInTurn(): void {
    while (this.#pauses === 0 && this.#first !== undefined) {
      const waiter = this.#first;
      if (!admits(waiter)) return;
      this.#remove(waiter);
    }
  }

  /** Calls after the first one may need less room; they are tried once, however many leave the queue in one turn. */
  #leave(waiter: Waiter, signal: AbortSignal): void {
    const wasFirst = waiter === this.#first;
    this.#remove(waiter);
    waiter.reject(waitingAborted(signal));
    if (!wasFirst || this.#turnScheduled) return;
    this.#turnScheduled = true;
    queueMicrotask(() => {
      this.#turnScheduled = false;
      if (!this.#full) this.#admitInTurn();
    });
  }

  #push(waiter: Waiter): void {
    const last = this.#last;
    waiter.before = last;
    if (last === undefined) this.#first = waiter;
    else last.after = waiter;
    this.#last = waiter;
    this.#size++;
  }

  #remove(waiter: Waiter): void {
    const { before, after } = waiter;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    waiter.before = undefined;
    waiter.after = undefined;
    this.#size--;
    waiter.stopListening?.();
  }
}

const waitingAborted = (signal: AbortSignal): WalError =>
  aborted(signal, 'the wait for room was aborted: nothing was appended');

/** Tries a waiting call. @returns whether it is done: admitted, or rejected with an error other than backpressure */
function admits({ enter, reject }: Waiter): boolean {
  try {
    enter();
  } catch (error) {
    if (WalError.is(error, 'WAL_BACKPRESSURE')) return false;
    reject(error);
  }
  return true;
}
