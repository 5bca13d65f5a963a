import type { WalError } from './errors.js';
import { decodeFrame, encodeFrame } from './frame.js';
import { FRAME_HEADER_BYTES } from './frames-in-blocks.js';

/** Encodes the content of a file that holds one value: a frame of JSON, its checksum seeded with 16 zero bytes. */
export function encodeFramedJson(value: unknown): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(value));
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + json.length);
  encodeFrame(bytes, 0, json);
  return bytes;
}

/**
 * Decodes what {@link encodeFramedJson} has encoded.
 *
 * @param corrupt - makes the error for a damaged file; `reason` is `'checksum'` or `'json'`
 */
export function decodeFramedJson(bytes: Uint8Array, corrupt: (reason: string, cause?: unknown) => WalError): unknown {
  const data = decodeFrame(bytes);
  if (data === undefined || data.length + FRAME_HEADER_BYTES !== bytes.length) throw corrupt('checksum');
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
  } catch (cause) {
    throw corrupt('json', cause);
  }
}
