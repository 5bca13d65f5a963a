/** Frames in a buffer, for a custom protocol, without files. */
import { decodeFrame, encodeFrame, frameStart, scanFrames, UNSALTED_SEED } from '@walstack/codec';

const BLOCK_BYTES = 512;
const stream = new Uint8Array(4 * BLOCK_BYTES);

let end = 0;
for (const text of ['hello', 'brave', 'new', 'world']) {
  end = encodeFrame(stream, frameStart(end, BLOCK_BYTES), new TextEncoder().encode(text));
}
// The last frame is damaged in transit.
stream[end - 1] = 0;

const offsets = new Uint32Array(16);
const count = scanFrames(stream, 0, stream.length, 0, BLOCK_BYTES, UNSALTED_SEED, offsets);
const texts = [...offsets.subarray(0, count)].map((offset) => new TextDecoder().decode(decodeFrame(stream, offset)));
console.log(`whole frames: ${texts.join(' ')}`);
