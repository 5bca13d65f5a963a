import { isUtf8 } from 'node:buffer';
import { checkOneOf, invalidType, type Lsn, WalError } from '@walstack/codec';
import type { Replay, WalRecord } from '@walstack/segmented';
import { aborted } from './commit/aborting.js';

/** A log hands back events: records whose payload went through the log's encoding. */
export interface WalEvent<T = Uint8Array> extends Omit<WalRecord, 'payload'> {
  readonly payload: T;
}

/**
 * Events of a log, in order, for `for await … of`, or `for … of` on a backend that can wait. Each iteration reads anew,
 * and closes itself when it is left.
 */
export interface WalIterator<T = Uint8Array> extends Iterable<WalEvent<T>>, AsyncIterable<WalEvent<T>> {}

/** How payloads become bytes, and bytes payloads of the type `T`. What is given may be of a wider type `I`. */
export interface Encoding<T, I = T> {
  /** For messages. */
  readonly name: string;
  /** The bytes of a payload, which are copied at once, or text, which is encoded as UTF-8. What it throws is thrown on. */
  encode(payload: I): Uint8Array | string;
  /**
   * The payload that `bytes` stand for. They are its own, unless the log is read with `copy: false`. What it throws is the
   * `cause` of a `WAL_BAD_PAYLOAD`.
   */
  decode(bytes: Uint8Array): T;
}

/**
 * The encodings that have a name: `'view'` takes bytes or text and gives `Uint8Array`s, `'buffer'` the same with
 * `Buffer`s, `'utf8'` takes and gives strings, `'json'` whatever JSON can represent.
 */
export type EncodingName = 'view' | 'buffer' | 'utf8' | 'json';

/** Any encoding. */
export type AnyEncoding = EncodingName | Encoding<unknown, never>;

/** What can be appended to a log whose events have payloads of the type `T`. */
export type PayloadInput<T> = [T] extends [Uint8Array] ? Uint8Array | string : T;

/** What a log does with payloads, on the way in and on the way out. */
export interface PayloadCodec<T, I> {
  /** @throws what the encoding throws; `TypeError` for what it cannot take */
  encode(payload: I): Uint8Array | string;
  /** @throws `WAL_BAD_PAYLOAD` */
  toEvent(record: WalRecord): WalEvent<T>;
  /** The records of a replay as events. */
  eventsOf(replay: Replay, signal: AbortSignal | undefined): EventReading<T>;
}

/** Events that are iterated over, or handed to a function each. */
export interface EventReading<T> extends WalIterator<T> {
  forEach(f: (event: WalEvent<T>) => unknown): Promise<number>;
}

const same = (payload: Uint8Array | string): Uint8Array | string => payload;

/** Bytes as they are: nothing stands between the log and its user. */
const view: PayloadCodec<Uint8Array, Uint8Array | string> = {
  encode: same,
  toEvent: (record) => record,
  eventsOf: (replay, signal) => (signal === undefined ? replay : new Events(replay, (record) => record, signal)),
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
    if (text === undefined) throw invalidType('payload', 'something that JSON can represent', value);
    return text;
  },
  decode: (bytes) => {
    if (!isUtf8(bytes)) throw new TypeError('it is not encoded in UTF-8');
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
  },
});

const NAMED = { view, buffer, utf8, json };

/** @throws `TypeError`, `RangeError` for what is no encoding */
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
    toEvent,
    eventsOf: (replay, signal) => new Events(replay, toEvent, signal),
  };
}

function checkEncoded<T, I>({ name }: Encoding<T, I>, encoded: Uint8Array | string): Uint8Array | string {
  if (typeof encoded === 'string' || encoded instanceof Uint8Array) return encoded;
  throw invalidType(`what the encoding ${name} made`, 'a Uint8Array or a string', encoded);
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

/** Anything can be thrown, also what has no text. */
function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return 'it threw something that has no text';
  }
}

/** Records of a replay that become events, until a signal ends it. */
class Events<T> implements EventReading<T> {
  readonly #replay: Replay;
  readonly #toEvent: (record: WalRecord) => WalEvent<T>;
  readonly #signal: AbortSignal | undefined;

  constructor(replay: Replay, toEvent: (record: WalRecord) => WalEvent<T>, signal: AbortSignal | undefined) {
    this.#replay = replay;
    this.#toEvent = toEvent;
    this.#signal = signal;
  }

  async forEach(f: (event: WalEvent<T>) => unknown): Promise<number> {
    this.#throwIfAborted();
    const hand = (record: WalRecord): unknown => {
      this.#throwIfAborted();
      return f(this.#toEvent(record));
    };
    return this.#replay.forEach(hand);
  }

  *[Symbol.iterator](): Generator<WalEvent<T>, void, undefined> {
    this.#throwIfAborted();
    for (const record of this.#replay) {
      yield this.#toEvent(record);
      this.#throwIfAborted();
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WalEvent<T>, void, undefined> {
    this.#throwIfAborted();
    for await (const record of this.#replay) {
      this.#throwIfAborted();
      yield this.#toEvent(record);
      this.#throwIfAborted();
    }
  }

  #throwIfAborted(): void {
    if (this.#signal?.aborted === true)
      throw aborted(this.#signal, 'the reading was ended: begin it again where it was');
  }
}
