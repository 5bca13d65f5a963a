import { createMemoryStorageIo, PortableWalWriter } from '@walstack/storage-io';
import { expect, it } from 'vitest';

it('a block that begins with the mark of padding ends a file of frames', () => {
  const io = createMemoryStorageIo();
  io.makeDirectory('d');
  const bytes = new Uint8Array(1029);
  bytes.set([128, 95], 1027);
  const plain = PortableWalWriter.openSync('d/frames', { io });
  plain.appendSync(bytes);
  plain.closeSync();
  const writer = PortableWalWriter.openSync('d/frames', { io, blockBytes: 512, maxUnsyncedBytes: 4096, framed: true });
  expect(writer.recovery).toEqual({ frames: 0, bytesCut: 1029 });
  writer.closeSync();
});
