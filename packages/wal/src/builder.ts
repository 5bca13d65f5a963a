import type { AnyEncoding } from './encoding.js';
import { OPTION_NAMES, type WalOptions } from './options.js';

type Open = (options: WalOptions<AnyEncoding>) => Promise<unknown>;

/**
 * Makes a builder: an object with a method for each option, which returns a new builder, and `build()`.
 *
 * @param open - opens the log with all values that were set
 */
export function makeBuilder(open: Open): object {
  return builderWith({}, open);
}

function builderWith(options: WalOptions<AnyEncoding>, open: Open): object {
  const setters = OPTION_NAMES.map((name) => [
    name,
    (value: unknown): object => builderWith({ ...options, [name]: value }, open),
  ]);
  return Object.freeze({ ...Object.fromEntries(setters), build: () => open(options) });
}
