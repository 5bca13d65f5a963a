import { crc32c, FRAME_HEADER_BYTES } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import { isTurnDue, TURN } from '@walstack/storage-io/internal';

/** CRC32C of each byte, reflected; and by the highest byte of an entry, its index: no two entries have the same. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : 0x82f63b78);
  return crc >>> 0;
});
const INDEX = new Uint8Array(256);
for (const [index, entry] of TABLE.entries()) INDEX[entry >>> 24] = index;

/** So many bytes are gone through between two looks at the clock. */
const STRIDE = 65_536;

/**
 * A checksum has 2³² values. A frame of n bytes has 8n changes of a single bit, and 255n of a single byte, which explain one value each:
 * the more there are, the likelier one of them explains by chance what several damaged bytes have made of it. No more are believed
 * than explain one of 16,384 values.
 */
const CHANGES_MAX = 2 ** 32 / 16_384;
const BIT_CHANGES = 8;
const BYTE_CHANGES = 255;

/** The longest frame, or the sum of several, of which a single damaged bit is proven: 32 KiB. */
export const PROVEN_BYTES_MAX = CHANGES_MAX / BIT_CHANGES;

/**
 * Whether a change of one byte may explain the checksum by chance.
 *
 * @param change - which of its bits are wrong
 * @param bytes - of all frames that are examined
 */
export function isByChance(change: number, bytes: number): boolean {
  const isOneBit = (change & (change - 1)) === 0;
  return bytes * (isOneBit ? BIT_CHANGES : BYTE_CHANGES) > CHANGES_MAX;
}

/**
 * The only damaged byte of a frame whose length and LSN are right: its offset, and which of its bits are wrong. A checksum that differs as
 * a change of a single byte makes it differ shows where that is.
 *
 * @param frame - all of it
 * @param seed - of its checksum
 * @param isBelieved - whether to believe a change; further ones are looked for otherwise
 * @returns `undefined` when more than one byte is damaged; a change of 0 when nothing is
 */
export function* singleDamage(
  frame: Uint8Array,
  seed: number,
  isBelieved: (change: number) => boolean,
): IoRoutine<{ readonly offset: number; readonly change: number } | undefined> {
  const stored = new DataView(frame.buffer, frame.byteOffset).getUint32(4, true);
  let difference = ((yield* continuedChecksum(frame, seed, FRAME_HEADER_BYTES, frame.length)) ^ stored) >>> 0;
  if (difference === 0) return { offset: FRAME_HEADER_BYTES, change: 0 };
  // The checksum itself.
  for (let byte = 0; byte < 4; byte++) {
    const change = (difference >>> (8 * byte)) & 0xff;
    if (difference === (change << (8 * byte)) >>> 0 && isBelieved(change)) return { offset: 4 + byte, change };
  }
  for (let offset = frame.length - 1; offset >= LSN_END; offset--) {
    // What the difference was before the zero byte behind this one.
    const index = INDEX[difference >>> 24] as number;
    difference = (((difference ^ (TABLE[index] as number)) << 8) | index) >>> 0;
    if (difference < 256 && isBelieved(difference)) return { offset, change: difference };
    if (offset % STRIDE === 0 && isTurnDue()) yield TURN;
  }
  return undefined;
}

const LSN_END = FRAME_HEADER_BYTES + 8;

/** CRC32C of a part of a long range, continuing that of the part before; other work has its turn meanwhile. */
export function* continuedChecksum(bytes: Uint8Array, seed: number, start: number, end: number): IoRoutine<number> {
  let checksum = seed;
  for (let at = start; at < end; at += STRIDE) {
    if (isTurnDue()) yield TURN;
    checksum = crc32c(bytes, checksum, at, Math.min(at + STRIDE, end));
  }
  return checksum;
}
