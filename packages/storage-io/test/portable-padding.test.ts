import { createMemoryStorageIo, ioSteps, PortableWalWriter, runSync } from '@walstack/storage-io';
import { expect, it } from 'vitest';

const PADDING_MARK = new Uint8Array([0, 0, 0, 128]);

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

it('what follows a block that begins with the mark of padding is not read as if padding were skipped', () => {
  const io = createMemoryStorageIo();
  io.makeDirectory('d');
  const options = { io, blockBytes: 512, framed: true } as const;
  const written = PortableWalWriter.openSync('d/frames', options);
  // Each frame fills a block.
  for (const each of [1, 2, 3]) written.appendWithChecksumSync(new Uint8Array(504).fill(each));
  written.closeSync();
  const file = io.open('d/frames');
  runSync(io, ioSteps.write(io, file, PADDING_MARK, 512));
  io.close(file);
  expect(() => PortableWalWriter.openSync('d/frames', options)).toThrow(
    expect.objectContaining({ code: 'WAL_CORRUPT' }),
  );
});
