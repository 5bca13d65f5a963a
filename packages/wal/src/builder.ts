import type { AnyEncoding } from './encoding.js';
import { OPTION_NAMES, type WalOptions } from './options.js';

/**
 * Makes an object with a method for each option, which returns a new builder with that value, and with `build`, which opens
 * the log with all values.
 */
export function makeBuilder(
  options: WalOptions<AnyEncoding>,
  open: (options: WalOptions<AnyEncoding>) => Promise<unknown>,
): object {
  const setters = OPTION_NAMES.map((name) => [
    name,
    (value: unknown): object => makeBuilder({ ...options, [name]: value }, open),
  ]);
  return Object.freeze({ ...Object.fromEntries(setters), build: () => open(options) });
}
