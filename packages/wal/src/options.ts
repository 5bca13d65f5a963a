import { checkInteger, checkOneOf, checkOptions, optionNames } from '@walstack/codec/internal';
import type { SegmentedWalConfig } from '@walstack/segmented';
import type { AnyEncoding } from './encoding.js';

/**
 * What a log is tuned for. Each preset is a set of option values; given options override it. No preset changes what is
 * durable when.
 *
 * - `'durable'`, the default: the defaults of all options.
 * - `'throughput'`: for many events with few calls that wait. They are written in larger pieces, to larger segments.
 * - `'low-latency'`: for few callers that wait. Blocks are preallocated on every backend, segments are kept for reuse,
 *   and appended events reach the operating system sooner.
 */
export type Preset = 'durable' | 'throughput' | 'low-latency';

/** How a log is opened: the options of its segments, when appended events are written, and how they are encoded. */
export interface WalOptions<E extends AnyEncoding = 'view'> extends Omit<SegmentedWalConfig, 'directory' | 'coreId'> {
  /** What the log is tuned for. Default `'durable'`. */
  readonly preset?: Preset;
  /** How payloads are encoded: `'view'`, `'buffer'`, `'utf8'`, `'json'`, or an `Encoding` of your own. Default `'view'`. */
  readonly encoding?: E;
  /** Write appended records to the operating system after at most so many milliseconds. Default 10. */
  readonly flushDelayMs?: number;
  /** Write them as soon as so many bytes are pending. Default 1 MiB. */
  readonly flushBytes?: number;
}

/** Options with a given encoding. */
export interface Encoded<E extends AnyEncoding> {
  readonly encoding: E;
}

/** The options of a log with a given encoding. */
export type EncodedOptions<E extends AnyEncoding> = WalOptions<E> & Encoded<E>;

/** When appended records are written. */
export interface FlushSettings {
  readonly flushDelayMs: number;
  readonly flushBytes: number;
}

/** The names of all options. */
export const OPTION_NAMES = optionNames<WalOptions>({
  preset: true,
  encoding: true,
  create: true,
  io: true,
  segmentBytes: true,
  blockBytes: true,
  padGroups: true,
  maxInFlight: true,
  directIo: true,
  preallocate: true,
  recycleSegments: true,
  maxPayloadBytes: true,
  maxPendingBytes: true,
  markAfterMs: true,
  firstLsn: true,
  retainBytes: true,
  retainAgeMs: true,
  retainUntilCheckpoint: true,
  recoveryMode: true,
  salvageLsn: true,
  lockTimeoutMs: true,
  flushDelayMs: true,
  flushBytes: true,
  onFailure: true,
  keyRing: true,
  allowPlaintext: true,
  compression: true,
  now: true,
  setTimer: true,
  randomBytes: true,
});

const MEBIBYTE = 1024 * 1024;

const PRESETS: Record<Preset, Partial<WalOptions>> = {
  durable: {},
  throughput: {
    segmentBytes: 256 * MEBIBYTE,
    maxPendingBytes: 256 * MEBIBYTE,
    flushBytes: 4 * MEBIBYTE,
    flushDelayMs: 50,
    recycleSegments: 2,
  },
  'low-latency': { preallocate: 'write', recycleSegments: 2, flushDelayMs: 1 },
};

const PRESET_NAMES = Object.keys(PRESETS) as readonly Preset[];

/** The values of a preset for options that are not given; `undefined` counts as not given. */
function presetDefaults(preset: Partial<WalOptions>, given: Partial<WalOptions<AnyEncoding>>): Partial<WalOptions> {
  const entries = Object.entries(preset).filter(([name]) => given[name as keyof WalOptions] === undefined);
  return Object.fromEntries(entries);
}

/** Options split into those of this layer and those of the segments below. */
export interface SplitOptions {
  readonly flush: FlushSettings;
  readonly encoding: AnyEncoding;
  readonly config: SegmentedWalConfig;
}

/** @throws `TypeError`, `RangeError` for wrong options of this layer */
export function splitOptions(path: string, options: WalOptions<AnyEncoding>): SplitOptions {
  const { preset = 'durable', ...given } = checkOptions('options', options, OPTION_NAMES);
  const chosen = { ...given, ...presetDefaults(PRESETS[checkOneOf('preset', preset, PRESET_NAMES)], given) };
  const { flushDelayMs = 10, flushBytes = MEBIBYTE, encoding = 'view', ...config } = chosen;
  return {
    flush: {
      flushDelayMs: checkInteger('flushDelayMs', flushDelayMs, 0, 0x7fff_ffff),
      flushBytes: checkInteger('flushBytes', flushBytes, 1),
    },
    encoding,
    config: { ...config, directory: path },
  };
}
