import { CodecNumber, type Compressor, type RecordScope } from '@walstack/codec';
import {
  checkedLength,
  checkInteger,
  checkOptions,
  checkText,
  checkUnsigned,
  optionNames,
} from '@walstack/codec/internal';

/** The properties of a record besides its payload. */
export interface AppendOptions {
  /** The application's own number, unsigned 32 bits. Default 0. */
  readonly type?: number;
  /** A second, short payload, at most 65,535 bytes; a string is UTF-8. Default none. */
  readonly meta?: Uint8Array | string;
  /** Unsigned, 64 bits. A record with any of the three ids has a scope; ids that are not given are 0 then. */
  readonly tenantId?: number | bigint;
  /** Unsigned, 64 bits. */
  readonly databaseId?: number | bigint;
  /** Unsigned, 32 bits. */
  readonly vshardId?: number | bigint;
}

/** A record to be appended, its options checked. */
export interface RecordBody {
  readonly type: number;
  readonly meta: Uint8Array;
  readonly payload: Uint8Array;
  /** The lengths of `meta` and `payload` when the record was checked. */
  readonly metaBytes: number;
  readonly payloadBytes: number;
  readonly scope: RecordScope | undefined;
  /** How the payload is compressed: one of `CodecNumber`. */
  readonly codec: number;
}

/** The names of the options of a record. */
export const APPEND_OPTIONS = optionNames<AppendOptions>({
  type: true,
  meta: true,
  tenantId: true,
  databaseId: true,
  vshardId: true,
});
const NO_BYTES: Uint8Array = new Uint8Array(0);
const encoder = new TextEncoder();
const EXPECTED = 'a Uint8Array or a string';

/** The default options: compared by identity, so that a call without options reads no property. */
export const NO_OPTIONS: AppendOptions = Object.freeze({});

/**
 * Checks a record, and copies its bytes.
 *
 * @throws `TypeError`, `RangeError` with Node's codes
 */
export function copiedBodyOf(payload: Uint8Array | string, options: AppendOptions): RecordBody {
  return new ReusedBody().fill(payload, options, copied);
}

/** A mutable record that is reused for every append, so that no object is allocated per record. */
export class ReusedBody implements RecordBody {
  type = 0;
  meta = NO_BYTES;
  payload = NO_BYTES;
  metaBytes = 0;
  payloadBytes = 0;
  scope: RecordScope | undefined = undefined;
  readonly codec = CodecNumber.none;

  /**
   * Checks a record and stores it in this object.
   *
   * @param toOwned - applied to the caller's bytes: copies them, or returns them as they are
   * @throws `TypeError`, `RangeError` with Node's codes; then this object is unchanged
   */
  fill(payload: Uint8Array | string, options: AppendOptions, toOwned: (bytes: Uint8Array) => Uint8Array = same): this {
    if (options === NO_OPTIONS) {
      this.#fillPayload(payload, toOwned);
      this.type = 0;
      this.meta = NO_BYTES;
      this.metaBytes = 0;
      this.scope = undefined;
      return this;
    }
    checkOptions('options', options, APPEND_OPTIONS);
    // Each option is read once, and before the lengths are checked: a getter may detach the memory, or append a record.
    const { type = 0, meta, tenantId, databaseId, vshardId } = options;
    checkInteger('type', type, 0, 0xffff_ffff);
    const scope = scopeOf(tenantId, databaseId, vshardId);
    const bytes = typeof meta === 'string' ? encoder.encode(checkText('meta', meta)) : (meta ?? NO_BYTES);
    const givenBytes = checkedLength('meta', bytes, EXPECTED);
    const owned = toOwned(bytes);
    const metaBytes = owned === bytes ? givenBytes : owned.length;
    this.#fillPayload(payload, toOwned);
    this.type = type;
    this.meta = owned;
    this.metaBytes = metaBytes;
    this.scope = scope;
    return this;
  }

  #fillPayload(payload: Uint8Array | string, toOwned: (bytes: Uint8Array) => Uint8Array): void {
    if (typeof payload === 'string') {
      this.payload = encoder.encode(checkText('payload', payload));
      this.payloadBytes = this.payload.length;
    } else {
      const givenBytes = checkedLength('payload', payload, EXPECTED);
      const owned = toOwned(payload);
      // A copy of shared memory that another thread grows may be longer.
      this.payloadBytes = owned === payload ? givenBytes : owned.length;
      this.payload = owned;
    }
  }

  /** Drops the reference to the caller's memory. */
  clear(): void {
    this.meta = NO_BYTES;
    this.payload = NO_BYTES;
  }
}

/** The record with its payload compressed, if that makes it smaller. */
export function compressed(body: RecordBody, compressor: Compressor): RecordBody {
  const payload = compressor.compress(body.payload);
  if (payload === undefined) return body;
  return { ...body, payload, payloadBytes: payload.length, codec: compressor.codec };
}

const same = (bytes: Uint8Array): Uint8Array => bytes;
/** Not `slice`: that of Node's `Buffer` returns a view of the same memory. */
const copied = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

function scopeOf(
  tenantId: AppendOptions['tenantId'],
  databaseId: AppendOptions['databaseId'],
  vshardId: AppendOptions['vshardId'],
): RecordScope | undefined {
  if (tenantId === undefined && databaseId === undefined && vshardId === undefined) return undefined;
  return {
    tenantId: checkUnsigned('tenantId', tenantId ?? 0, 64),
    databaseId: checkUnsigned('databaseId', databaseId ?? 0, 64),
    vshardId: Number(checkUnsigned('vshardId', vshardId ?? 0, 32)),
  };
}
