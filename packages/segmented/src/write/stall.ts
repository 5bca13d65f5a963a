import type { WalError } from '@walstack/codec';

/**
 * Whether the log waits for room on the disk: writes of appended records found none, and their bytes are still in memory. It
 * is no failure: nothing was acknowledged of them, and they are written again as a whole, from their first byte on.
 */
export class Stall {
  #error: WalError | undefined;
  #holdsRecords = false;

  /** Why the log waits; `undefined` while it does not. The same error until everything is written. */
  get error(): WalError | undefined {
    return this.#error;
  }

  /** Whether records are among what waits, and not only a mark behind durable ones. */
  get holdsRecords(): boolean {
    return this.#holdsRecords;
  }

  /**
   * Notes that a write found no room.
   *
   * @param holdsRecords - whether it is one of records, and not of a mark alone
   * @returns the error that calls reject with
   */
  begin(error: WalError, holdsRecords: boolean): WalError {
    this.#error ??= error;
    this.#holdsRecords ||= holdsRecords;
    return this.#error;
  }

  /** Called when everything that found no room is written. */
  end(): void {
    this.#error = undefined;
    this.#holdsRecords = false;
  }
}
