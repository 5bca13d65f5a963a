import type { AnyEncoding, Encoding, PayloadInput } from './encoding.js';
import { OPTION_NAMES, type WalOptions } from './options.js';
import type { Wal } from './wal.js';

/**
 * Opens a log with options that are set one by one: a method for each option, and `build()`. Each call returns a new builder
 * and leaves the old one unchanged. `build()` checks the values and opens the log, as `Wal.open` does.
 */
export type WalBuilder<T = Uint8Array, I = PayloadInput<T>> = {
  readonly [Name in Exclude<keyof WalOptions, 'encoding'>]-?: (
    value: NonNullable<WalOptions[Name]>,
  ) => WalBuilder<T, I>;
} & {
  /** Sets how payloads are encoded. */
  encoding(encoding: 'view'): WalBuilder;
  encoding(encoding: 'buffer'): WalBuilder<Buffer>;
  encoding(encoding: 'utf8'): WalBuilder<string>;
  encoding<T = unknown>(encoding: 'json'): WalBuilder<T, T>;
  encoding<T, I = T>(encoding: Encoding<T, I>): WalBuilder<T, I>;
  /** Checks the options, and opens the log. */
  build(): Promise<Wal<T, I>>;
};

type Open = (options: WalOptions<AnyEncoding>) => Promise<unknown>;

/** @param open - opens the log with all values that were set */
export function makeBuilder(open: Open): WalBuilder {
  // The methods are made from the option names of the type.
  return builderWith({}, open) as WalBuilder;
}

function builderWith(options: WalOptions<AnyEncoding>, open: Open): object {
  const setters = OPTION_NAMES.map((name) => [
    name,
    (value: unknown): object => builderWith({ ...options, [name]: value }, open),
  ]);
  return Object.freeze({ ...Object.fromEntries(setters), build: () => open(options) });
}
