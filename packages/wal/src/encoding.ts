import { isUtf8 } from 'node:buffer';
import { type Lsn, WalError } from '@walstack/codec';
import { checkOneOf, invalidType } from '@walstack/codec/internal';
import type { AppendOptions, Replay, WalRecord } from '@walstack/segmented';
import { type SchemaFor, type StandardSchema, textOf, validated } from './schema.js';

/** An event as it is read from a log: a record whose payload was decoded by the log's encoding. */
export interface WalEvent<T = Uint8Array> extends Omit<WalRecord, 'payload'> {
  readonly payload: T;
}

/**
 * Events of a log, in order, for `for await … of`, or `for … of` on a backend that can wait. Each iteration reads
 * from the beginning, and closes its files when the loop ends.
 */
export interface WalIterator<T = Uint8Array> extends Iterable<WalEvent<T>>, AsyncIterable<WalEvent<T>> {}

/** Converts payloads to bytes, and bytes to payloads of the type `T`. Appended payloads may be of a wider type `I`. */
export interface Encoding<T, I = T> {
  /** The name in messages of errors. */
  readonly name: string;
  /** Returns the bytes of a payload, which are copied at once, or text, which is encoded as UTF-8. Its errors are rethrown. */
  encode(payload: I): Uint8Array | string;
  /**
   * Returns the payload that `bytes` encode. It may keep the bytes, unless the log is read with `copy: false`. An error of it
   * is the `cause` of a `WAL_BAD_PAYLOAD`.
   */
  decode(bytes: Uint8Array): T;
}

/**
 * The built-in encodings: `'view'` accepts bytes or text and returns `Uint8Array`s, `'buffer'` the same with `Buffer`s,
 * `'utf8'` accepts and returns strings, `'json'` everything that JSON can represent.
 */
export type EncodingName = 'view' | 'buffer' | 'utf8' | 'json';

/** Any encoding. */
export type AnyEncoding = EncodingName | Encoding<unknown, never>;

/** What can be appended to a log whose events have payloads of the type `T`. */
export type PayloadInput<T> = T | ([T] extends [Uint8Array] ? Uint8Array | string : never);

/** What the payload of an event is that an encoding returns; of several encodings, any of these. */
export type PayloadOf<E extends AnyEncoding> = E extends 'view'
  ? Uint8Array
  : E extends 'buffer'
    ? Buffer
    : E extends 'utf8'
      ? string
      : E extends Encoding<infer T, never>
        ? T
        : unknown;

/** What an encoding accepts; of several encodings, what all of them do. */
export type InputOf<E extends AnyEncoding> = [E] extends ['view' | 'buffer']
  ? Uint8Array | string
  : [E] extends ['view' | 'buffer' | 'utf8']
    ? string
    : InputsOf<E> extends (input: infer I) => void
      ? I
      : never;

type InputsOf<E> = E extends 'view' | 'buffer'
  ? (input: Uint8Array | string) => void
  : E extends 'utf8'
    ? (input: string) => void
    : E extends { encode(payload: infer I): unknown }
      ? (input: I) => void
      : (input: unknown) => void;

/** Converts payloads for appending, and records to events for reading. */
export interface PayloadCodec<T, I> {
  /** @throws what the encoding throws; `TypeError` for a payload that it does not accept */
  encode(payload: I, options?: AppendOptions): Uint8Array | string;
  /** Whether {@link encode} reads the options, which the log must not read again then. */
  readonly readsOptions: boolean;
  /** @throws `WAL_BAD_PAYLOAD` */
  toEvent(record: WalRecord): WalEvent<T>;
  /** The records of a replay as events. */
  eventsOf(replay: Replay): EventReading<T>;
}

/** Events for iterating, or for calling a function with each. */
export interface EventReading<T> extends WalIterator<T> {
  forEach(f: (event: WalEvent<T>) => unknown): Promise<number>;
}

const same = (payload: Uint8Array | string): Uint8Array | string => payload;

/** Bytes as they are: records are returned without conversion. */
const view: PayloadCodec<Uint8Array, Uint8Array | string> = {
  encode: same,
  readsOptions: false,
  toEvent: (record) => record,
  eventsOf: (replay) => replay,
};

const buffer = codecFor<Buffer, Uint8Array | string>({
  name: 'buffer',
  encode: same,
  decode: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
});

const utf8 = codecFor<string, string>({
  name: 'utf8',
  encode: (text) => {
    if (typeof text !== 'string') throw invalidType('payload', 'a string', text);
    return text;
  },
  decode: (bytes) => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
});

const json = codecFor<unknown, unknown>({
  name: 'json',
  encode: (value) => {
    const text: string | undefined = JSON.stringify(value);
    if (text === undefined) throw invalidType('payload', 'a value that JSON can represent', value);
    return text;
  },
  decode: (bytes) => {
    if (!isUtf8(bytes)) throw new TypeError('it is not encoded in UTF-8');
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
  },
});

const NAMED = { view, buffer, utf8, json };

/** @throws `TypeError`, `RangeError` for an invalid encoding */
export function payloadCodecOf(encoding: AnyEncoding): PayloadCodec<unknown, never> {
  if (typeof encoding === 'object' && encoding !== null) {
    for (const name of ['encode', 'decode'] as const) {
      if (typeof encoding[name] !== 'function') throw invalidType(`encoding.${name}`, 'a function', encoding[name]);
    }
    return codecFor(encoding);
  }
  return NAMED[checkOneOf('encoding', encoding, ['view', 'buffer', 'utf8', 'json'])];
}

function codecFor<T, I>(encoding: Encoding<T, I>): PayloadCodec<T, I> {
  const toEvent = (record: WalRecord): WalEvent<T> => ({ ...record, payload: decoded(encoding, record) });
  return {
    encode: (payload) => checkEncoded(encoding, encoding.encode(payload)),
    readsOptions: false,
    toEvent,
    eventsOf: (replay) => new Events(replay, toEvent),
  };
}

/** A codec whose payloads the schema for their type checks, before they are encoded and after they were decoded. */
function checkedBy(
  schemaFor: SchemaFor,
  readsOptions: boolean,
  codec: PayloadCodec<unknown, never>,
): PayloadCodec<unknown, never> {
  const toEvent = (record: WalRecord): WalEvent<unknown> => {
    const { lsn, type } = record;
    const schema = schemaFor(type, lsn);
    const { payload } = codec.toEvent(record);
    return { ...record, payload: validated(schema, payload, lsn) };
  };
  return {
    encode: (payload, options) => {
      validated(schemaFor(readsOptions ? (options?.type ?? 0) : 0), payload);
      return codec.encode(payload);
    },
    readsOptions,
    toEvent,
    eventsOf: (replay) => new Events(replay, toEvent),
  };
}

/** A codec with the schemas of a log, if it has some. @throws `TypeError` for both kinds of them */
export function checkedPayloads(
  codec: PayloadCodec<unknown, never>,
  schema: StandardSchema | undefined,
  schemas: SchemaFor | undefined,
): PayloadCodec<unknown, never> {
  if (schemas !== undefined) {
    if (schema !== undefined) throw invalidType('schema', 'left out beside schemas', schema);
    return checkedBy(schemas, true, codec);
  }
  return schema === undefined ? codec : checkedBy(() => schema, false, codec);
}

function checkEncoded<T, I>({ name }: Encoding<T, I>, encoded: Uint8Array | string): Uint8Array | string {
  if (typeof encoded === 'string' || encoded instanceof Uint8Array) return encoded;
  throw invalidType(`the result of the encoding ${name}`, 'a Uint8Array or a string', encoded);
}

function decoded<T, I>(encoding: Encoding<T, I>, { lsn, payload }: WalRecord): T {
  try {
    return encoding.decode(payload);
  } catch (cause) {
    throw undecodable(encoding.name, lsn, cause);
  }
}

function undecodable(name: string, lsn: Lsn, cause: unknown): WalError {
  return new WalError(
    'WAL_BAD_PAYLOAD',
    `the payload with LSN ${lsn} is not what the encoding ${name} writes (${textOf(cause)}): open the log with the ` +
      "encoding that wrote it, or with 'view', which reads everything",
    { lsn, reason: 'encoding' },
    { cause },
  );
}

/** The records of a replay as events. */
class Events<T> implements EventReading<T> {
  readonly #replay: Replay;
  readonly #toEvent: (record: WalRecord) => WalEvent<T>;

  constructor(replay: Replay, toEvent: (record: WalRecord) => WalEvent<T>) {
    this.#replay = replay;
    this.#toEvent = toEvent;
  }

  async forEach(f: (event: WalEvent<T>) => unknown): Promise<number> {
    const hand = (record: WalRecord): unknown => f(this.#toEvent(record));
    return await this.#replay.forEach(hand);
  }

  *[Symbol.iterator](): Generator<WalEvent<T>, void, undefined> {
    for (const record of this.#replay) yield this.#toEvent(record);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WalEvent<T>, void, undefined> {
    for await (const record of this.#replay) yield this.#toEvent(record);
  }
}
