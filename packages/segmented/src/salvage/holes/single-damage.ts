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
 * The only damaged byte of a frame whose length is right: its offset, and which of its bits are wrong. A checksum that differs as a
 * change of a single byte makes it differ shows where that is; by chance it does so for one of 16,000 frames of 1 KiB in which
 * more is damaged.
 *
 * @param frame - all of it
 * @param seed - of its checksum
 * @returns `undefined` when more than one byte is damaged; a change of 0 when nothing is
 */
export function* singleDamage(
  frame: Uint8Array,
  seed: number,
): IoRoutine<{ readonly offset: number; readonly change: number } | undefined> {
  const stored = new DataView(frame.buffer, frame.byteOffset).getUint32(4, true);
  let difference = (crc32c(frame, seed, FRAME_HEADER_BYTES, frame.length) ^ stored) >>> 0;
  if (difference === 0) return { offset: FRAME_HEADER_BYTES, change: 0 };
  // The checksum itself.
  for (let byte = 0; byte < 4; byte++) {
    const change = (difference >>> (8 * byte)) & 0xff;
    if (difference === (change << (8 * byte)) >>> 0) return { offset: 4 + byte, change };
  }
  for (let offset = frame.length - 1; offset >= FRAME_HEADER_BYTES; offset--) {
    // What the difference was before the zero byte behind this one.
    const index = INDEX[difference >>> 24] as number;
    difference = (((difference ^ (TABLE[index] as number)) << 8) | index) >>> 0;
    if (difference < 256) return { offset, change: difference };
    if (offset % STRIDE === 0 && isTurnDue()) yield TURN;
  }
  return undefined;
}
