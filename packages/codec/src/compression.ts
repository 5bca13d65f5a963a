import * as zlib from 'node:zlib';
import { checkInteger, checkOneOf, checkOptions, optionNames } from './arguments.js';
import { WalError } from './errors.js';
import { isOneZstdFrame } from './zstd-frame.js';

/** How payloads are compressed. */
export type CompressionCodec = 'none' | 'deflate' | 'zstd';

/** Which payloads are compressed, and how. */
export interface CompressionOptions {
  /** `'deflate'` is there everywhere, `'zstd'` where Node.js has it (22.15 and later). Default `'none'`. */
  readonly codec?: CompressionCodec;
  /** Shorter payloads are left as they are, in bytes. Default 512. */
  readonly thresholdBytes?: number;
  /** 1, fast, to 9 for deflate or 22 for zstd, small. Default 1 for deflate, 3 for zstd. */
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

/** What newer versions of Node.js have besides what their types for older ones say. */
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
const LEVELS = { deflate: { most: 9, usual: 1 }, zstd: { most: 22, usual: 3 } } as const;
const THRESHOLD_BYTES = 512;

/** Compresses payloads where that makes them smaller. */
export class Compressor {
  /** The codec's number in a record. */
  readonly codec: number;
  readonly #thresholdBytes: number;
  readonly #deflated: (payload: Uint8Array) => Uint8Array;

  private constructor(codec: 'deflate' | 'zstd', thresholdBytes: number, level: number) {
    this.codec = CodecNumber[codec];
    this.#thresholdBytes = thresholdBytes;
    this.#deflated = codec === 'deflate' ? deflater(level) : zstandard(level);
  }

  /**
   * What options ask for; `undefined` when nothing is to be compressed.
   *
   * @throws `TypeError`, `RangeError` for wrong options; `WAL_UNSUPPORTED` for zstd where Node.js has none
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
      if (level !== undefined) checkInteger('compression.level', level, 1, LEVELS.zstd.most);
      return undefined;
    }
    const { most, usual } = LEVELS[codec];
    return new Compressor(codec, thresholdBytes, checkInteger('compression.level', level ?? usual, 1, most));
  }

  /** The payload compressed; `undefined` when it is short, or does not become smaller. */
  compress(payload: Uint8Array): Uint8Array | undefined {
    if (payload.length < this.#thresholdBytes) return undefined;
    const compressed = this.#deflated(asItIs(payload));
    return compressed.length < payload.length ? compressed : undefined;
  }
}

/** The library asks bytes where they are: a class over `Uint8Array` may say something else than what it holds. */
function asItIs(bytes: Uint8Array): Uint8Array {
  const prototype: unknown = Object.getPrototypeOf(bytes);
  return prototype === Uint8Array.prototype || prototype === Buffer.prototype ? bytes : new Uint8Array(bytes);
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

/** How a payload could not be decompressed. */
export type DecompressionProblem = 'damaged' | 'too-large';

/**
 * Decompresses a payload, taking memory for no more than `limit` bytes of result, whatever the bytes say.
 *
 * @param codec - its number in a record
 * @returns the payload in memory of its own, or what is wrong
 * @throws `WAL_UNSUPPORTED` for zstd where Node.js has none
 */
export function decompress(codec: number, bytes: Uint8Array, limit: number): Uint8Array | DecompressionProblem {
  // A limit of 0 is none to the library.
  const options = { maxOutputLength: Math.max(1, limit) };
  let payload: Uint8Array | undefined;
  try {
    payload = codec === CodecNumber.deflate ? inflated(bytes, options) : unzstd(bytes, options);
  } catch (error) {
    if (WalError.is(error)) throw error;
    return (error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE' ? 'too-large' : 'damaged';
  }
  if (payload === undefined) return 'damaged';
  return payload.length > limit ? 'too-large' : ofItsOwn(payload);
}

/** The library gives a `Buffer` that is a view of a larger piece of memory, which it would keep alive. */
function ofItsOwn(bytes: Uint8Array): Uint8Array {
  const { buffer, length } = bytes;
  return buffer.byteLength === length ? new Uint8Array(buffer) : new Uint8Array(bytes);
}

interface Limit {
  readonly maxOutputLength: number;
}

/** What the library gives when it is asked for more than the bytes, which its types do not know. */
interface WithInfo {
  readonly buffer: Uint8Array;
  /** `bytesWritten`: bytes that were taken in. */
  readonly engine: { readonly bytesWritten: number };
}

/** `undefined` when there is something behind the end of what was compressed. */
function inflated(bytes: Uint8Array, options: Limit): Uint8Array | undefined {
  const { buffer, engine } = zlib.inflateRawSync(bytes, { ...options, info: true }) as unknown as WithInfo;
  return engine.bytesWritten === bytes.length ? buffer : undefined;
}

/** `undefined` when it is not one whole frame, and nothing else. */
function unzstd(bytes: Uint8Array, options: Limit): Uint8Array | undefined {
  if (!hasZstd(zlib)) throw noZstd({ reason: 'zstd' });
  return isOneZstdFrame(bytes) ? zlib.zstdDecompressSync(bytes, options) : undefined;
}

function noZstd(facts: { readonly reason?: string }): WalError {
  return new WalError(
    'WAL_UNSUPPORTED',
    `this Node.js (${process.version}) has no zstd: use one from 22.15 on, or deflate`,
    { operation: 'zstd', ...facts },
  );
}
