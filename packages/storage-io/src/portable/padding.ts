import { FRAME_HEADER_BYTES } from '@walstack/codec';

/**
 * The mark at the start of padding, in place of the length of a frame. No frame is that long, and only one byte of the
 * mark is not zero: so a torn mark is zeros, and a torn frame length never equals it.
 */
const PADDING = 0x8000_0000;

/**
 * Fills the rest of a block after a frame with padding: a mark where a frame could start, then zeros. Without the mark,
 * the zeros could also be a frame that never reached the disk.
 */
export function fillWithPadding(bytes: Uint8Array, start: number, end: number): void {
  bytes.fill(0, start, end);
  if (end - start >= FRAME_HEADER_BYTES) bytes[start + 3] = PADDING >>> 24;
}

/** Whether padding begins where a frame could start. */
export const isPadding = (view: DataView, offset: number): boolean => view.getUint32(offset, true) === PADDING;
