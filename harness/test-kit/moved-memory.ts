/** Bytes whose memory belongs to another thread since. */
export function moved(bytes: Uint8Array<ArrayBuffer> = new Uint8Array(200)): Uint8Array<ArrayBuffer> {
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}
