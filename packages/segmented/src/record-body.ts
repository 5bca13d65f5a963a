import {
  CodecNumber,
  type Compressor,
  checkInteger,
  checkOptions,
  checkUnsigned,
  invalidType,
  type RecordScope,
} from '@walstack/codec';

/** What a record has besides its payload. */
export interface AppendOptions {
  /** The application's own number, unsigned 32 bits. Default 0. */
  readonly type?: number;
  /** A second, short payload, at most 65,535 bytes; a string is UTF-8. Default none. */
  readonly meta?: Uint8Array | string;
  /** Unsigned, 64 bits. A record with any of the three ids is scoped; the ids not given are 0 then. */
  readonly tenantId?: number | bigint;
  /** Unsigned, 64 bits. */
  readonly databaseId?: number | bigint;
  /** Unsigned, 32 bits. */
  readonly vshardId?: number | bigint;
}

/** A record as the caller gives it, its options checked. */
export interface RecordBody {
  readonly type: number;
  readonly meta: Uint8Array;
  readonly payload: Uint8Array;
  readonly scope: RecordScope | undefined;
  /** How the payload is compressed: one of `CodecNumber`. */
  readonly codec: number;
}

const APPEND_OPTIONS: readonly (keyof AppendOptions)[] = ['type', 'meta', 'tenantId', 'databaseId', 'vshardId'];
const NO_BYTES: Uint8Array = new Uint8Array(0);
const encoder = new TextEncoder();

/** No option given: known by its identity, so that nothing is looked up for it. */
export const NO_OPTIONS: AppendOptions = Object.freeze({});

/**
 * Checks a record. Bytes are not copied.
 *
 * @throws `TypeError`, `RangeError` with Node's codes
 */
export function bodyOf(payload: Uint8Array | string, options: AppendOptions): RecordBody {
  return new ReusedBody().fill(payload, options);
}

/** A record that is checked, encoded and forgotten before the next one comes: no object is made for each. */
export class ReusedBody implements RecordBody {
  type = 0;
  meta = NO_BYTES;
  payload = NO_BYTES;
  scope: RecordScope | undefined = undefined;
  readonly codec = CodecNumber.none;

  /** Checks a record, and is that record then. @throws like {@link bodyOf} */
  fill(payload: Uint8Array | string, options: AppendOptions): this {
    if (options === NO_OPTIONS) {
      this.type = 0;
      this.meta = NO_BYTES;
      this.scope = undefined;
    } else {
      checkOptions('options', options, APPEND_OPTIONS);
      this.type = options.type === undefined ? 0 : checkInteger('type', options.type, 0, 0xffff_ffff);
      this.meta = options.meta === undefined ? NO_BYTES : bytesOf('meta', options.meta);
      this.scope = scopeOf(options);
    }
    this.payload = bytesOf('payload', payload);
    return this;
  }

  /** Lets go of the caller's memory. */
  clear(): void {
    this.meta = NO_BYTES;
    this.payload = NO_BYTES;
  }
}

/** The record with its payload compressed, where that makes it smaller. */
export function compressed(body: RecordBody, compressor: Compressor): RecordBody {
  const payload = compressor.compress(body.payload);
  return payload === undefined ? body : { ...body, payload, codec: compressor.codec };
}

function bytesOf(name: string, value: Uint8Array | string): Uint8Array {
  if (typeof value === 'string') return encoder.encode(value);
  if (!(value instanceof Uint8Array)) throw invalidType(name, 'a Uint8Array or a string', value);
  return value;
}

function scopeOf({ tenantId, databaseId, vshardId }: AppendOptions): RecordScope | undefined {
  if (tenantId === undefined && databaseId === undefined && vshardId === undefined) return undefined;
  return {
    tenantId: checkUnsigned('tenantId', tenantId ?? 0, 64),
    databaseId: checkUnsigned('databaseId', databaseId ?? 0, 64),
    vshardId: Number(checkUnsigned('vshardId', vshardId ?? 0, 32)),
  };
}
