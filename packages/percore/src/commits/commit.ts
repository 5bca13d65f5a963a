import { checkText, checkUnsigned, invalidType, outOfRange } from '@walstack/codec/internal';

/** How far the sources of a consumer were read: the content of a commit, and what recovery returns. */
export interface Committed {
  /** The offset of each source, unsigned 64 bits. */
  readonly offsets: ReadonlyMap<string, bigint>;
  /** Signed, 64 bits; `undefined` when none was given. */
  readonly watermark: bigint | undefined;
}

/** Offsets as the application passes them: by the name of the source. */
export type Offsets = Readonly<Record<string, number | bigint>> | ReadonlyMap<string, number | bigint>;

/** No offsets and no watermark. */
export const NOTHING_COMMITTED: Committed = Object.freeze({ offsets: new Map<string, bigint>(), watermark: undefined });

const SOURCE_NAME_BYTES_MAX = 0xffff;
const WATERMARK_MIN = -(2n ** 63n);
const WATERMARK_MAX = 2n ** 63n - 1n;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Checks the arguments of a commit.
 *
 * @throws `TypeError`, `RangeError` with Node's codes
 */
export function checkCommit(offsets: Offsets, watermark: number | bigint | undefined): Committed {
  if (typeof offsets !== 'object' || offsets === null) throw invalidType('offsets', 'an object or a Map', offsets);
  const pairs = offsets instanceof Map ? [...offsets] : Object.entries(offsets);
  const checked = new Map<string, bigint>();
  for (const [source, offset] of pairs) {
    if (typeof source !== 'string') throw invalidType('offsets', 'a Map from strings', source);
    checkText('offsets', source);
    checked.set(source, checkUnsigned(`offsets.${source}`, offset, 64));
  }
  return { offsets: checked, watermark: watermark === undefined ? undefined : checkWatermark(watermark) };
}

function checkWatermark(watermark: unknown): bigint {
  if (typeof watermark !== 'number' && typeof watermark !== 'bigint') {
    throw invalidType('watermark', 'a number or bigint', watermark);
  }
  const expected = 'an integer of 64 bits, signed';
  if (typeof watermark === 'number' && !Number.isSafeInteger(watermark)) {
    throw outOfRange('watermark', `${expected}, or a bigint`, watermark);
  }
  const wide = BigInt(watermark);
  if (wide < WATERMARK_MIN || wide > WATERMARK_MAX) throw outOfRange('watermark', expected, watermark);
  return wide;
}

/**
 * Encodes the value of a commit: flags (1: it has a watermark), the watermark, and for each source the length of its name,
 * the name and the offset.
 *
 * @throws `RangeError` (`ERR_OUT_OF_RANGE`) for a name of more than 65,535 bytes
 */
export function encodeCommit({ offsets, watermark }: Committed): Uint8Array {
  const sources = [...offsets].map(([source, offset]) => ({ name: nameOf(source), offset }));
  const bytes = new Uint8Array(9 + sources.reduce((sum, { name }) => sum + 10 + name.length, 0));
  const view = new DataView(bytes.buffer);
  view.setUint8(0, watermark === undefined ? 0 : 1);
  view.setBigInt64(1, watermark ?? 0n, true);
  let at = 9;
  for (const { name, offset } of sources) {
    view.setUint16(at, name.length, true);
    bytes.set(name, at + 2);
    view.setBigUint64(at + 2 + name.length, offset, true);
    at += 10 + name.length;
  }
  return bytes;
}

function nameOf(source: string): Uint8Array {
  const name = encoder.encode(source);
  if (name.length > SOURCE_NAME_BYTES_MAX) {
    throw outOfRange('offsets', `names of at most ${SOURCE_NAME_BYTES_MAX} bytes`, source);
  }
  return name;
}

/** Decodes the value of a commit; `undefined` when the bytes are not one. */
export function decodeCommit(bytes: Uint8Array): Committed | undefined {
  if (bytes.length < 9 || (bytes[0] as number) > 1) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const offsets = new Map<string, bigint>();
  let at = 9;
  while (at < bytes.length) {
    const end = at + 2 > bytes.length ? Number.POSITIVE_INFINITY : at + 10 + view.getUint16(at, true);
    if (end > bytes.length) return undefined;
    const source = textOf(bytes.subarray(at + 2, end - 8));
    if (source === undefined) return undefined;
    offsets.set(source, view.getBigUint64(end - 8, true));
    at = end;
  }
  return { offsets, watermark: bytes[0] === 1 ? view.getBigInt64(1, true) : undefined };
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * What several cores have committed together: the highest offset of each source, and the lowest of their watermarks, which
 * all of them have reached. There is no watermark while one of them has committed offsets without one. Cores that have
 * committed nothing do not count.
 */
export function committedByAll(cores: readonly Committed[]): Committed {
  const offsets = new Map<string, bigint>();
  let lowest: bigint | undefined;
  let isKnown = true;
  for (const { offsets: own, watermark } of cores) {
    for (const [source, offset] of own) {
      const other = offsets.get(source);
      if (other === undefined || offset > other) offsets.set(source, offset);
    }
    if (watermark === undefined) isKnown &&= own.size === 0;
    else if (lowest === undefined || watermark < lowest) lowest = watermark;
  }
  return { offsets, watermark: isKnown ? lowest : undefined };
}
