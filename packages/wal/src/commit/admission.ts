import { WalError } from '@walstack/codec';
import { aborted, onAbort } from './aborting.js';

/** What waits for room in memory, between its neighbours in the queue. */
interface Waiter {
  /** Appends; throws `WAL_BACKPRESSURE` while there is no room. */
  readonly enter: () => void;
  readonly reject: (error: unknown) => void;
  /** Ends the listening to its signal. */
  forget: (() => void) | undefined;
  before: Waiter | undefined;
  after: Waiter | undefined;
}

/**
 * The queue before a log whose memory is full, or whose end is being cut off: first come, first served. Nothing overtakes,
 * so what comes while something waits has to wait, too. Entering and leaving cost the same however long the queue is.
 */
export class Admission {
  #first: Waiter | undefined;
  #last: Waiter | undefined;
  #size = 0;
  /**
   * Something was refused and no room was made since. What was refused may be larger than what there is room for: a call
   * that then asked for room and got it at once would be refused again, and again, without the disk getting a turn.
   */
  #full = false;
  /** Calls under way during which nothing is let in. */
  #pauses = 0;
  /** The first in the queue has left, and what is behind it has not been asked yet. */
  #isDue = false;

  get size(): number {
    return this.#size;
  }

  /** Whether what comes has to wait. */
  get isClosed(): boolean {
    return this.#pauses > 0 || this.#size > 0;
  }

  /** Whether something waits that nothing but room will let in. */
  get waitsForRoom(): boolean {
    return this.#pauses === 0 && this.#size > 0;
  }

  /** Lets nothing in until {@link resume}. */
  pause(): void {
    this.#pauses++;
  }

  resume(): void {
    this.#pauses--;
    this.admit();
  }

  /** Something was refused for want of room: until some is made, everything that comes waits. */
  refused(): void {
    this.#full = true;
  }

  /**
   * Enters now, or when there is room again and everything before has entered.
   *
   * @param signal - leaves the queue when it is aborted
   */
  enter<T>(append: () => T, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const enter = (): void => resolve(append());
      if (signal?.aborted === true) throw givenUp(signal);
      const applicant: Waiter = { enter, reject, forget: undefined, before: undefined, after: undefined };
      if (!this.#full && !this.isClosed && admits(applicant)) return;
      this.#push(applicant);
      if (signal !== undefined) applicant.forget = onAbort(signal, () => this.#leave(applicant, signal));
    });
  }

  /** Room was made: lets in what finds some. */
  admit(): void {
    this.#full = false;
    this.#admitInTurn();
  }

  /** Rejects everything that waits. */
  rejectAll(error: unknown): void {
    this.#full = false;
    for (let applicant = this.#first; applicant !== undefined; applicant = this.#first) {
      this.#remove(applicant);
      applicant.reject(error);
    }
  }

  #admitInTurn(): void {
    while (this.#pauses === 0 && this.#first !== undefined) {
      const applicant = this.#first;
      if (!admits(applicant)) return;
      this.#remove(applicant);
    }
  }

  /** What stands behind the first one may need less room; it is asked once, however many leave in one turn. */
  #leave(applicant: Waiter, signal: AbortSignal): void {
    const wasFirst = applicant === this.#first;
    this.#remove(applicant);
    applicant.reject(givenUp(signal));
    if (!wasFirst || this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      if (!this.#full) this.#admitInTurn();
    });
  }

  #push(applicant: Waiter): void {
    const last = this.#last;
    applicant.before = last;
    if (last === undefined) this.#first = applicant;
    else last.after = applicant;
    this.#last = applicant;
    this.#size++;
  }

  #remove(applicant: Waiter): void {
    const { before, after } = applicant;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    applicant.before = undefined;
    applicant.after = undefined;
    this.#size--;
    applicant.forget?.();
  }
}

const givenUp = (signal: AbortSignal): WalError =>
  aborted(signal, 'the waiting for room was given up: nothing was appended');

/** @returns whether the applicant need not wait any more */
function admits({ enter, reject }: Waiter): boolean {
  try {
    enter();
  } catch (error) {
    if (WalError.is(error, 'WAL_BACKPRESSURE')) return false;
    reject(error);
  }
  return true;
}
