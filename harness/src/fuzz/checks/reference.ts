/**
 * The format once more, read off its page and written without any thought of speed: what the decoders are compared with.
 */

/** CRC32C, bit by bit. */
export function crcOf(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** An unsigned integer of so many bytes; 0 bits stand where there are none. */
export function unsigned(bytes: Uint8Array, at: number, width: number): bigint {
  let value = 0n;
  for (let index = width - 1; index >= 0; index--) value = value * 256n + BigInt(bytes[at + index] ?? 0);
  return value;
}

const small = (bytes: Uint8Array, at: number, width: number): number => Number(unsigned(bytes, at, width));

/** Bytes of the data of the frame at an offset, when there is a whole one before `end` with the right checksum. */
export function frameAt(bytes: Uint8Array, at: number, end: number, seed: number): number | undefined {
  if (at + 8 > end) return undefined;
  const length = small(bytes, at, 4);
  if (length === 0 || at + 8 + length > end) return undefined;
  return crcOf(bytes.subarray(at + 8, at + 8 + length), seed) === small(bytes, at + 4, 4) ? length : undefined;
}

/** A stretch of a file: `bytes[start]` is at `position` in it. */
export interface Stretch {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly position: number;
  readonly blockBytes: number;
  readonly seed: number;
}

/** Offsets of at most so many frames of a stretch, and the offset of the stop behind them. */
export function framesOf({ bytes, start, end, position, blockBytes, seed }: Stretch, most: number): number[] {
  const found: number[] = [];
  let at = start;
  while (found.length < most && at < end) {
    const left = blockBytes - ((position + at - start) % blockBytes);
    if (left < 8) {
      at += left;
    } else if (at + 8 > end) {
      break;
    } else if (small(bytes, at, 4) === 0) {
      at += left;
    } else {
      const length = frameAt(bytes, at, end, seed);
      if (length === undefined) break;
      found.push(at);
      at += 8 + length;
    }
  }
  return [...found, Math.min(at, end)];
}

/** Fields of the frame at an offset, as they stand there. */
export function fieldsAt(bytes: Uint8Array, at: number) {
  return {
    length: small(bytes, at, 4),
    lsn: unsigned(bytes, at + 8, 8),
    type: small(bytes, at + 16, 4),
    lag: small(bytes, at + 20, 4),
    metaLength: small(bytes, at + 24, 2),
    flags: small(bytes, at + 26, 1),
    codec: small(bytes, at + 27, 1),
    elapsedMs: small(bytes, at + 28, 4),
  };
}

export type Fields = ReturnType<typeof fieldsAt>;

/** What is wrong with the fields of a frame whose checksum is right. */
export function problemOf({ length, lag, metaLength, flags, codec, lsn, type }: Fields) {
  if (flags >= 64) return 'unknown-flags';
  if (codec >= 3) return 'unknown-codec';
  const [compressed, encrypted, scoped, mark] = [2, 4, 8, 16].map((bit) => (flags & bit) !== 0);
  const needed = 24 + (scoped ? 24 : 0) + metaLength + (encrypted ? 16 : 0);
  const isMark = flags === 16 && length === 24 && metaLength === 0 && codec === 0 && lag === 1;
  const isHole =
    flags === 32 &&
    metaLength === 0 &&
    codec === 0 &&
    lag === 1 &&
    lsn + BigInt(type) <= BigInt(Number.MAX_SAFE_INTEGER);
  const isRecord = !mark && flags < 32 && compressed === (codec !== 0) && needed <= length && lag !== 0;
  return isMark || isHole || isRecord ? undefined : 'impossible-fields';
}

/** Whether a frame with these fields, and `left` bytes of its file from it on, would prove that `lsn` had been durable. */
export function proves(fields: Fields, left: number, lsn: number, lastLsn: number): boolean {
  const { length, lag } = fields;
  return (
    length >= 24 &&
    length + 8 <= left &&
    problemOf(fields) === undefined &&
    lag !== 0xffff_ffff &&
    fields.flags < 32 &&
    fields.lsn - BigInt(lag) >= BigInt(lsn) &&
    fields.lsn <= BigInt(lastLsn)
  );
}
