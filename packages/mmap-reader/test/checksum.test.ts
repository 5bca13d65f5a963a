import { createMemoryStorageIo, ioSteps, runSync } from '@walstack/storage-io';
import { expect, it } from 'vitest';
import { checksumOf } from '../src/frames/checksum.js';

it('a file that was cut while its bytes were to be read has no checksum of them', () => {
  const io = createMemoryStorageIo();
  const file = io.open('/file', { create: true });
  runSync(io, ioSteps.write(io, file, Buffer.from('123456789'), 0));
  expect(runSync(io, checksumOf(io, file, 0, 9, 0))).toBe(0xe306_9283);
  expect(runSync(io, checksumOf(io, file, 0, 10, 0))).toBeUndefined();
  expect(runSync(io, checksumOf(io, file, 20, 1, 0))).toBeUndefined();
});
