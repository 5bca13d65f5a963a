import {
  checkAll,
  checkInteger,
  checkOneOf,
  checkOptions,
  namesIn,
  type OptionTable,
  optional,
} from '@walstack/codec/internal';
import type { SegmentedWalConfig } from '@walstack/segmented';
import { LOG_OPTION_NAMES } from '@walstack/segmented/internal';
import { type AnyEncoding, checkedPayloads, type PayloadCodec, payloadCodecOf } from './encoding.js';
import { checkSchema, checkSchemas, type EventSchemas, type SchemaFor, type StandardSchema } from './schema.js';

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
  /**
   * Checks payloads before they are encoded and after they were decoded: a schema of any library that implements Standard
   * Schema. What it returns is the payload of the event that is read; what is stored is the payload as it was given. A wrong
   * payload is `WAL_BAD_PAYLOAD`. Default: payloads are not checked.
   */
  readonly schema?: StandardSchema;
  /**
   * The same with a schema for each `type` of event, in place of `schema`: `{ 1: Placed, 2: Paid }`. An event of another type is
   * `WAL_BAD_PAYLOAD` as well; reading with `types` skips it.
   */
  readonly schemas?: EventSchemas;
  /** Write appended records to the operating system after at most so many milliseconds. Default 10. */
  readonly flushDelayMs?: number;
  /** Write them as soon as so many bytes are pending. Default 1 MiB. */
  readonly flushBytes?: number;
}

/** Options with a given encoding. */
export interface Encoded<E extends AnyEncoding> {
  readonly encoding: E;
}

/** Options with a given schema. */
export interface Schemed<Input, Output> {
  readonly schema: StandardSchema<Input, Output>;
}

/** Options with a given schema for each type of event. */
export interface SchemedByType<S extends EventSchemas> {
  readonly schemas: S;
}

/** The options of a log with a given encoding. */
export type EncodedOptions<E extends AnyEncoding> = WalOptions<E> & Encoded<E>;

/** When appended records are written. */
export interface FlushSettings {
  readonly flushDelayMs: number;
  readonly flushBytes: number;
}

const MEBIBYTE = 1024 * 1024;

/** The values that each preset sets. */
export const PRESETS: Record<Preset, Partial<WalOptions>> = {
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

type OwnOptions = Omit<WalOptions<AnyEncoding>, keyof SegmentedWalConfig>;

/** The options that the segments do not have. */
export const OWN_OPTIONS = {
  preset: { default: 'durable', check: (name, value) => checkOneOf(name, value, PRESET_NAMES) },
  encoding: { default: 'view', check: (_name, encoding = 'view') => payloadCodecOf(encoding) },
  schema: { default: undefined, check: optional(checkSchema) },
  schemas: { default: undefined, check: optional(checkSchemas) },
  flushDelayMs: { default: 10, check: (name, value) => checkInteger(name, value, 0, 0x7fff_ffff) },
  flushBytes: { default: MEBIBYTE, check: (name, value) => checkInteger(name, value, 1) },
} satisfies OptionTable<OwnOptions, { encoding: PayloadCodec<unknown, never>; schemas: SchemaFor | undefined }>;

/** The names of all options: those of the segments come from their table. */
export const OPTION_NAMES: readonly (keyof WalOptions & string)[] = Object.freeze([
  ...namesIn(OWN_OPTIONS),
  ...LOG_OPTION_NAMES.filter((name) => name !== 'directory' && name !== 'coreId'),
]);

/** The values of a preset for options that are not given; `undefined` counts as not given. */
function presetDefaults(preset: Partial<WalOptions>, given: Partial<WalOptions<AnyEncoding>>): Partial<WalOptions> {
  const entries = Object.entries(preset).filter(([name]) => given[name as keyof WalOptions] === undefined);
  return Object.fromEntries(entries);
}

/** Options split into those of this layer and those of the segments below. */
export interface SplitOptions {
  readonly flush: FlushSettings;
  /** What the encoding determines. */
  readonly payloads: PayloadCodec<unknown, never>;
  readonly config: SegmentedWalConfig;
}

/** @throws `TypeError`, `RangeError` for wrong options of this layer */
export function splitOptions(path: string, options: WalOptions<AnyEncoding>): SplitOptions {
  const { preset = OWN_OPTIONS.preset.default, ...given } = checkOptions('options', options, OPTION_NAMES);
  const chosen = { ...given, ...presetDefaults(PRESETS[OWN_OPTIONS.preset.check('preset', preset)], given) };
  const { encoding, schema, schemas, flushDelayMs, flushBytes, ...config } = chosen;
  const own = checkAll(OWN_OPTIONS, { preset, encoding, schema, schemas, flushDelayMs, flushBytes });
  return {
    flush: { flushDelayMs: own.flushDelayMs, flushBytes: own.flushBytes },
    payloads: checkedPayloads(own.encoding, own.schema, own.schemas),
    config: { ...config, directory: path },
  };
}
