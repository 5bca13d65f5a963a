import { checkBoolean, checkFollowerName, checkInteger, checkOptions, invalidType } from '@walstack/codec/internal';
import type { StorageIo, StorageIoName } from '@walstack/storage-io';
import { checkStream, type LogStreamOptions, STREAM_OPTIONS, type StreamSettings } from '../options.js';
import type { CreateOptions } from '../stream/log-stream.js';

/** How a log is shipped. */
export interface ShipOptions extends LogStreamOptions {
  /**
   * The name of the follower of the log, under which the log stores how far the stream is, and keeps what is not replicated.
   * Default `'jetstream'`.
   */
  readonly name?: string;
  /**
   * Create the stream where it is missing: `true`, or how. Number of replicas: `{ num_replicas: 3 }`. Default `false`: shipping
   * waits until there is one.
   */
  readonly create?: boolean | CreateOptions;
  /** So many messages are on their way at most. Default 256. */
  readonly inFlightMax?: number;
  /** So many bytes are on their way at most, unless one message has more. Default 8 MiB. */
  readonly inFlightBytesMax?: number;
  /** The longest time between two attempts to reach the server, in milliseconds. The first one comes after 100. Default 5000. */
  readonly retryMs?: number;
  /** Store in the log how far the stream is, so often with anything new, in milliseconds. Default 250. */
  readonly storeMs?: number;
  /** The backend, for a log that is given as a directory. Default `'auto'`. */
  readonly io?: StorageIo | StorageIoName;
  /** Called when the state changes. Default: not called. */
  readonly onState?: (state: ShipState, error: Error | undefined) => void;
}

/**
 * What a shipper does.
 *
 * - `'connecting'`: it connects, and compares what the stream ends with with the log.
 * - `'shipping'`: it publishes records as they become durable.
 * - `'waiting'`: the server cannot be reached or refuses messages; it tries again.
 * - `'failed'`: trying again would not help; nothing more is published.
 * - `'closed'`
 */
export type ShipState = 'connecting' | 'shipping' | 'waiting' | 'failed' | 'closed';

/** The checked options. */
export interface ShipSettings {
  readonly stream: StreamSettings;
  readonly name: string;
  readonly create: CreateOptions | undefined;
  readonly inFlightMax: number;
  readonly inFlightBytesMax: number;
  readonly retryMs: number;
  readonly storeMs: number;
  readonly onState: ShipOptions['onState'];
}

/** The names in {@link ShipOptions} beside those of the stream. */
export const SHIP_OPTIONS = [
  'name',
  'create',
  'inFlightMax',
  'inFlightBytesMax',
  'retryMs',
  'storeMs',
  'io',
  'onState',
] as const;

/** @throws `TypeError`, `RangeError` with Node's codes */
export function checkShip(options: ShipOptions): ShipSettings {
  const {
    name = 'jetstream',
    create = false,
    inFlightMax = 256,
    inFlightBytesMax = 8 * 1024 * 1024,
    retryMs = 5000,
    storeMs = 250,
    onState,
  } = checkOptions('options', options, [...STREAM_OPTIONS, ...SHIP_OPTIONS]);
  if (onState !== undefined && typeof onState !== 'function') throw invalidType('onState', 'a function', onState);
  return {
    stream: checkStream(options),
    name: checkFollowerName('name', name),
    create: typeof create === 'object' && create !== null ? create : checkBoolean('create', create) ? {} : undefined,
    inFlightMax: checkInteger('inFlightMax', inFlightMax, 1, 65_536),
    inFlightBytesMax: checkInteger('inFlightBytesMax', inFlightBytesMax, 1, 2 ** 30),
    retryMs: checkInteger('retryMs', retryMs, 1, 0x7fff_ffff),
    storeMs: checkInteger('storeMs', storeMs, 1, 0x7fff_ffff),
    onState,
  };
}
