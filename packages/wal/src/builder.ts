import type { AnyEncoding } from './encoding.js';
import { OPTION_NAMES, type WalOptions } from './options.js';

/**
 * An object with a method for each option, which gives a new builder with its value, and with `build`, which opens the
 * log with all of them.
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
