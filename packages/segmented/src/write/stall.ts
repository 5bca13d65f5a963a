import type { WalError } from '@walstack/codec';

/**
 * Whether the log waits for room on the disk: writes of appended records found none, and their bytes are still in memory. It
 * is no failure: nothing was acknowledged of them, and they are written again as a whole, from their first byte on.
 */
export class Stall {
  #error: WalError | undefined;

  /** Why the log waits; `undefined` while it does not. The same error until everything is written. */
  get error(): WalError | undefined {
    return this.#error;
  }

  /** Notes that a write found no room. @returns the error that calls reject with */
  begin(error: WalError): WalError {
    this.#error ??= error;
    return this.#error;
  }

  /** Called when everything that found no room is written. */
  end(): void {
    this.#error = undefined;
  }
}
