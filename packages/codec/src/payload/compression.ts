import * as zlib from 'node:zlib';
import { checkInteger, checkOneOf, checkOptions, lengthOf, optionNames } from '../arguments/checks.js';
import { WalError } from '../errors.js';
import { isOneZstdFrame } from './zstd-frame.js';

/** How payloads are compressed. */
export type CompressionCodec = 'none' | 'deflate' | 'zstd';

/** Which payloads are compressed, and how. */
export interface CompressionOptions {
  /** `'deflate'` is always available, `'zstd'` with Node.js 22.15 or later. Default `'none'`. */
  readonly codec?: CompressionCodec;
  /** Payloads shorter than this, in bytes, are not compressed. Default 512. */
  readonly thresholdBytes?: number;
  /** 1 (fastest) to 9 for deflate or 22 for zstd (smallest). Default 1 for deflate, 3 for zstd. */
  readonly level?: number;
}

/** Numbers of the codecs in a record. */
export const CodecNumber = {
  /** Not compressed. */
  none: 0,
  /** Raw deflate, RFC 1951. */
  deflate: 1,
  /** Zstandard, RFC 8878. */
  zstd: 2,
} as const;

/** The zstd functions of newer Node.js versions, which the installed type definitions do not contain. */
interface Zstd {
  readonly zstdCompressSync: (data: Uint8Array, options: { readonly params: Record<number, number> }) => Uint8Array;
  readonly zstdDecompressSync: (data: Uint8Array, options: Limit) => Uint8Array;
  readonly constants: { readonly ZSTD_c_compressionLevel: number };
}

const hasZstd = (library: object): library is Zstd =>
  typeof (library as Partial<Zstd>).zstdCompressSync === 'function' &&
  typeof (library as Partial<Zstd>).zstdDecompressSync === 'function';

/** Whether this Node.js has zstd. */
export const zstdAvailable: boolean = hasZstd(zlib);

const CODECS: readonly CompressionCodec[] = ['none', 'deflate', 'zstd'];
const OPTION_NAMES = optionNames<CompressionOptions>({ codec: true, thresholdBytes: true, level: true });
const LEVELS = { deflate: { max: 9, default: 1 }, zstd: { max: 22, default: 3 } } as const;
const THRESHOLD_BYTES = 512;

/** Compresses payloads where that makes them smaller. */
export class Compressor {
  /** The number of the codec in a record's header. */
  readonly codec: number;
  readonly #thresholdBytes: number;
  readonly #deflated: (payload: Uint8Array) => Uint8Array;

  private constructor(codec: 'deflate' | 'zstd', thresholdBytes: number, level: number) {
    this.codec = CodecNumber[codec];
    this.#thresholdBytes = thresholdBytes;
    this.#deflated = codec === 'deflate' ? deflater(level) : zstandard(level);
  }

  /**
   * The compressor that options describe; `undefined` when nothing is to be compressed.
   *
   * @throws `TypeError`, `RangeError` for wrong options; `WAL_UNSUPPORTED` for zstd when Node.js does not have it
   */
  static of(options: CompressionOptions): Compressor | undefined {
    const {
      codec = 'none',
      thresholdBytes = THRESHOLD_BYTES,
      level,
    } = checkOptions('compression', options, OPTION_NAMES);
    checkOneOf('compression.codec', codec, CODECS);
    checkInteger('compression.thresholdBytes', thresholdBytes);
    if (codec === 'none') {
      if (level !== undefined) checkInteger('compression.level', level, 1, LEVELS.zstd.max);
      return undefined;
    }
    const { max, default: usual } = LEVELS[codec];
    return new Compressor(codec, thresholdBytes, checkInteger('compression.level', level ?? usual, 1, max));
  }

  /** The payload compressed; `undefined` when it is short, or does not become smaller. */
  compress(payload: Uint8Array): Uint8Array | undefined {
    const length = lengthOf(payload);
    if (length === 0 || length < this.#thresholdBytes) return undefined;
    const compressed = this.#deflated(withoutOverrides(payload));
    return compressed.length < length ? compressed : undefined;
  }
}

const OVERRIDDEN = ['buffer', 'byteLength', 'byteOffset', 'length'] as const;

/**
 * Copies an instance of a subclass, and one with properties of its own: `zlib` reads properties such as `byteLength`, which may
 * be functions of the application.
 */
function withoutOverrides(bytes: Uint8Array): Uint8Array {
  const prototype: unknown = Object.getPrototypeOf(bytes);
  const isUsual = prototype === Uint8Array.prototype || prototype === Buffer.prototype;
  return isUsual && !OVERRIDDEN.some((name) => Object.hasOwn(bytes, name)) ? bytes : new Uint8Array(bytes);
}

function deflater(level: number): (payload: Uint8Array) => Uint8Array {
  return (payload) => zlib.deflateRawSync(payload, { level });
}

function zstandard(level: number): (payload: Uint8Array) => Uint8Array {
  if (!hasZstd(zlib)) throw noZstd({});
  const { zstdCompressSync, constants } = zlib;
  const options = { params: { [constants.ZSTD_c_compressionLevel]: level } };
  return (payload) => zstdCompressSync(payload, options);
}

/** Why a payload could not be decompressed. */
export type DecompressionProblem = 'damaged' | 'too-large';

/**
 * Decompresses a payload. The result never takes memory for more than `limit` bytes, whatever size the compressed bytes
 * declare.
 *
 * @param codec - its number in the record's header
 * @returns the payload in memory of its own, or the problem
 * @throws `WAL_UNSUPPORTED` for zstd when Node.js does not have it
 */
export function decompress(codec: number, bytes: Uint8Array, limit: number): Uint8Array | DecompressionProblem {
  // `zlib` takes a limit of 0 as no limit.
  const options = { maxOutputLength: Math.max(1, limit) };
  let payload: Uint8Array | undefined;
  try {
    payload = codec === CodecNumber.deflate ? inflated(bytes, options) : unzstd(bytes, options);
  } catch (error) {
    if (WalError.is(error)) throw error;
    return (error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE' ? 'too-large' : 'damaged';
  }
  if (payload === undefined) return 'damaged';
  return payload.length > limit ? 'too-large' : inOwnMemory(payload);
}

/**
 * Copies a view out of a larger buffer: `zlib` returns a view of a pooled chunk, and the view would keep all of it
 * alive.
 */
function inOwnMemory(bytes: Uint8Array): Uint8Array {
  const { buffer, length } = bytes;
  return buffer.byteLength === length ? new Uint8Array(buffer) : new Uint8Array(bytes);
}

interface Limit {
  readonly maxOutputLength: number;
}

/** What `zlib` returns with the option `info`, which its types do not contain. */
interface WithInfo {
  readonly buffer: Uint8Array;
  /** `bytesWritten`: the number of input bytes that were consumed. */
  readonly engine: { readonly bytesWritten: number };
}

/** `undefined` when there are bytes behind the end of the compressed data. */
function inflated(bytes: Uint8Array, options: Limit): Uint8Array | undefined {
  const { buffer, engine } = zlib.inflateRawSync(bytes, { ...options, info: true }) as unknown as WithInfo;
  return engine.bytesWritten === bytes.length ? buffer : undefined;
}

/** `undefined` when the bytes are not exactly one complete frame. */
function unzstd(bytes: Uint8Array, options: Limit): Uint8Array | undefined {
  if (!hasZstd(zlib)) throw noZstd({ reason: 'zstd' });
  return isOneZstdFrame(bytes) ? zlib.zstdDecompressSync(bytes, options) : undefined;
}

function noZstd(facts: { readonly reason?: string }): WalError {
  return new WalError(
    'WAL_UNSUPPORTED',
    `this Node.js (${process.version}) does not have zstd: use Node.js 22.15 or later, or deflate`,
    { operation: 'zstd', ...facts },
  );
}
