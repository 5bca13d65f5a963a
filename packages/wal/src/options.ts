import { checkInteger, checkOneOf, checkOptions, optionNames } from '@walstack/codec';
import type { SegmentedWalConfig } from '@walstack/segmented';
import type { AnyEncoding } from './encoding.js';

/**
 * What a log is tuned for. Each is a set of values for options, which an option that is given goes before. None changes
 * what is durable when.
 *
 * - `'durable'`, the default: the defaults of all options.
 * - `'throughput'`: for many events that few wait for. They are handed over in larger pieces, and segments are larger.
 * - `'low-latency'`: for few callers that wait. Blocks are prepared ahead on every backend, segments are kept for reuse,
 *   and what was only appended reaches the operating system sooner.
 */
export type Preset = 'durable' | 'throughput' | 'low-latency';

/** How a log is opened: everything that its segments take, when appended events are written, and how they are encoded. */
export interface WalOptions<E extends AnyEncoding = 'view'> extends Omit<SegmentedWalConfig, 'directory' | 'coreId'> {
  /** What the log is tuned for. Default `'durable'`. */
  readonly preset?: Preset;
  /** What payloads are: `'view'`, `'buffer'`, `'utf8'`, `'json'`, or an `Encoding` of your own. Default `'view'`. */
  readonly encoding?: E;
  /** Hand appended records to the operating system after so many milliseconds at the latest. Default 10. */
  readonly flushDelayMs?: number;
  /** Hand them over as soon as so many bytes are pending. Default 1 MiB. */
  readonly flushBytes?: number;
}

/** What has an encoding. */
export interface Encoded<E extends AnyEncoding> {
  readonly encoding: E;
}

/** Options with an encoding. */
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

/** What of a preset counts, beside the options that are given: `undefined` is not given. */
function left(preset: Partial<WalOptions>, given: Partial<WalOptions<AnyEncoding>>): Partial<WalOptions> {
  const entries = Object.entries(preset).filter(([name]) => given[name as keyof WalOptions] === undefined);
  return Object.fromEntries(entries);
}

/** Options split into those of this layer and those of the segments below. */
export interface SplitOptions {
  readonly flush: FlushSettings;
  readonly encoding: AnyEncoding;
  readonly config: SegmentedWalConfig;
}

/** @throws `TypeError`, `RangeError` for what is wrong with the options of this layer */
export function splitOptions(path: string, options: WalOptions<AnyEncoding>): SplitOptions {
  const { preset = 'durable', ...given } = checkOptions('options', options, OPTION_NAMES);
  const chosen = { ...given, ...left(PRESETS[checkOneOf('preset', preset, PRESET_NAMES)], given) };
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
