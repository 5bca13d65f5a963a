import type { PortableWalWriter } from '@walstack/storage-io';

/** Appends a frame, durable when it resolves. @returns its position */
export async function committedFrame(writer: PortableWalWriter, data: Uint8Array): Promise<number> {
  const [position] = await Promise.all([writer.appendWithChecksum(data), writer.sync()]);
  return position;
}
