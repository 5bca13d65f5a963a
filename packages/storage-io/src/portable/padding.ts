import { FRAME_HEADER_BYTES } from '@walstack/codec';

/**
 * What stands in front of padding, in place of the length of a frame. No frame is as long, and only one of its bytes is not
 * zero: torn it is zeros, and what is left of the length of a torn frame is never the same.
 */
const PADDING = 0x8000_0000;

/**
 * Fills what a block has left behind a frame with padding: zeros, behind a mark where a frame could start. Without it the zeros
 * could as well be the place of a frame that never reached the disk.
 */
export function fillWithPadding(bytes: Uint8Array, start: number, end: number): void {
  bytes.fill(0, start, end);
  if (end - start >= FRAME_HEADER_BYTES) bytes[start + 3] = PADDING >>> 24;
}

/** Whether padding begins where a frame could start. */
export const isPadding = (view: DataView, offset: number): boolean => view.getUint32(offset, true) === PADDING;
