import type { Scratch } from './scratch.js';

/** How long and how often is measured. */
export interface Settings {
  readonly rounds: number;
  /** Of one measurement that goes by time. */
  readonly durationMs: number;
  /** Records of one measurement that goes by number. */
  readonly records: number;
  readonly scratch: Scratch;
}

/** For a look. */
export const QUICK = { rounds: 3, durationMs: 200, records: 300_000 };

/** For figures that are handed on. */
export const FULL = { rounds: 7, durationMs: 1000, records: 1_000_000 };
