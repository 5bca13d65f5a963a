import type { Lsn } from '@walstack/codec';
import { checkFollowerName, checkInteger, checkOptions, invalidType } from '@walstack/codec/internal';
import type { OnTruncated, ReadFrom, ResumePoint } from '@walstack/mmap-reader';
import { checkFrom, checkResumePoint } from '@walstack/mmap-reader/internal';

/** How often a follower with a name acknowledges and stores by itself. */
export interface StoreEvery {
  /** After so many events, those included that the filter skips. At least 1. Default: no number. */
  readonly events?: number;
  /** After so many milliseconds with anything new. 1 to 2^31 − 1. Default 1000. */
  readonly ms?: number;
}

/** The options of a follower that has a name. */
export interface NamedOptions {
  /**
   * Stores under this name, in the directory of the log, how far the follower is, so that truncation and retention keep what it
   * has not acknowledged, in any process, also while it is not running. 1 to 64 of the characters `a` to `z`, `0` to `9`, `.`,
   * `_` and `-`; one follower at a time has it. Default none.
   */
  readonly name?: string;
  /** With `'stored'`: where to begin when nothing is stored under the name. Default `'first'`. */
  readonly initially?: ReadFrom | ResumePoint;
  /**
   * The request for the next event acknowledges those before, and the position is stored so often. Default: only what
   * `acknowledge` is called for.
   */
  readonly storeEvery?: StoreEvery;
}

/** The checked options. */
export interface NamedSettings {
  readonly name: string;
  readonly initially: ReadFrom | ResumePoint;
  /** Whether to continue behind what was removed. */
  readonly skips: boolean;
  /** Whether requests acknowledge. */
  readonly isAutomatic: boolean;
  readonly everyEvents: number;
  readonly everyMs: number;
}

/** After this time what the filter has skipped is stored. */
const STORE_MS = 1000;

/** @throws `TypeError`, `RangeError` with Node's codes */
export function checkNamed(
  from: Lsn | string | object,
  { name, initially, storeEvery, onTruncated }: NamedOptions & { readonly onTruncated?: OnTruncated },
): NamedSettings | undefined {
  if (name === undefined) {
    if (from === 'stored') throw invalidType('options.name', "a string, as following begins at 'stored'", name);
    if (initially !== undefined) throw invalidType('options.name', 'a string, with initially', name);
    if (storeEvery !== undefined) throw invalidType('options.name', 'a string, with storeEvery', name);
    return undefined;
  }
  if (initially !== undefined) checkInitially(initially);
  const { events, ms = STORE_MS } =
    storeEvery === undefined ? {} : checkOptions('storeEvery', storeEvery, ['events', 'ms']);
  return {
    name: checkFollowerName('name', name),
    initially: initially ?? 'first',
    skips: onTruncated === 'skip',
    isAutomatic: storeEvery !== undefined,
    everyEvents: events === undefined ? Number.POSITIVE_INFINITY : checkInteger('storeEvery.events', events, 1),
    everyMs: checkInteger('storeEvery.ms', ms, 1, 0x7fff_ffff),
  };
}

function checkInitially(initially: ReadFrom | ResumePoint): void {
  if (typeof initially === 'object') checkResumePoint('initially', initially);
  else checkFrom('initially', initially);
}
