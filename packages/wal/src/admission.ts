import { WalError } from '@walstack/codec';
import { aborted } from './aborting.js';

/** Somebody who waits for room in memory. */
interface Applicant {
  /** Appends; throws `WAL_BACKPRESSURE` while there is no room. */
  readonly enter: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The queue before a log whose memory is full, or whose end is being cut off: first come first served. Nobody overtakes, so whoever comes while
 * somebody waits has to wait too.
 */
export class Admission {
  readonly #queue: Applicant[] = [];
  /**
   * Somebody was refused and no room was made since. What was refused may be larger than what there is room for: who
   * then asked for room and were let in at once would be refused again, and again, without the disk getting a turn.
   */
  #full = false;
  /** Calls under way during which nobody is let in. */
  #pauses = 0;

  get size(): number {
    return this.#queue.length;
  }

  /** Whether whoever comes has to wait. */
  get isClosed(): boolean {
    return this.#pauses > 0 || this.#queue.length > 0;
  }

  /** Whether somebody waits whom nothing but room will let in. */
  get waitsForRoom(): boolean {
    return this.#pauses === 0 && this.#queue.length > 0;
  }

  /** Lets nobody in until {@link resume}. */
  pause(): void {
    this.#pauses++;
  }

  resume(): void {
    this.#pauses--;
    this.admit();
  }

  /** Somebody was refused for want of room: until some is made, everybody who comes waits. */
  refused(): void {
    this.#full = true;
  }

  /**
   * Enters now, or when there is room again and everybody before has entered.
   *
   * @param signal - leaves the queue when it is aborted
   */
  enter<T>(append: () => T, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const applicant = { enter: () => resolve(append()), reject };
      if (!this.#full && !this.isClosed && this.#admit(applicant)) return;
      this.#queue.push(signal === undefined ? applicant : this.#leavingOn(signal, applicant));
    });
  }

  /** Room was made: lets in whoever finds some. */
  admit(): void {
    this.#full = false;
    this.#admitInTurn();
  }

  /** Turns everyone away. */
  rejectAll(error: unknown): void {
    this.#full = false;
    for (const { reject } of this.#queue.splice(0)) reject(error);
  }

  #admitInTurn(): void {
    while (this.#pauses === 0 && this.#queue.length > 0 && this.#admit(this.#queue[0] as Applicant))
      this.#queue.shift();
  }

  /** The applicant, who goes away when a signal is aborted. Who stood behind may need less room. */
  #leavingOn(signal: AbortSignal, { enter, reject }: Applicant): Applicant {
    const leave = (): void => {
      this.#queue.splice(this.#queue.indexOf(leaving), 1);
      reject(aborted(signal, 'the waiting for room was given up: nothing was appended'));
      if (!this.#full) this.#admitInTurn();
    };
    const leaving = {
      enter: () => {
        enter();
        signal.removeEventListener('abort', leave);
      },
      reject: (error: unknown) => {
        signal.removeEventListener('abort', leave);
        reject(error);
      },
    };
    signal.addEventListener('abort', leave, { once: true });
    return leaving;
  }

  /** @returns whether the applicant need not wait any more */
  #admit({ enter, reject }: Applicant): boolean {
    try {
      enter();
    } catch (error) {
      if (WalError.is(error, 'WAL_BACKPRESSURE')) return false;
      reject(error);
    }
    return true;
  }
}
