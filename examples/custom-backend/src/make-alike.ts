import { join } from 'node:path';
import { ioSteps, runAsync, type StorageIo } from '@walstack/storage-io';
import type { Disk } from './mirror.js';

const PIECE_BYTES = 256 * 1024;

/**
 * Makes the files of a directory on the second disk like those on the first: after a crash, or because the second disk is new.
 * Durable on return. The files must not be used meanwhile. It can be repeated after a crash during it.
 *
 * @param directory - below the roots of both disks
 */
export async function makeAlike(first: Disk, second: Disk, directory: string): Promise<void> {
  const from = join(first.root, directory);
  const to = join(second.root, directory);
  if (!isThere(second.io, to)) second.io.makeDirectory(to);
  const names = isThere(first.io, from) ? first.io.list(from) : [];
  for (const name of second.io.list(to)) {
    if (!names.includes(name)) await runAsync(second.io, ioSteps.remove(second.io, join(to, name)));
  }
  for (const name of names) await copy(first.io, join(from, name), second.io, join(to, name));
  for (const path of [to, second.root]) await runAsync(second.io, ioSteps.syncDirectory(second.io, path));
}

function isThere(io: StorageIo, path: string): boolean {
  try {
    return io.stat(path).kind === 'directory';
  } catch {
    return false;
  }
}

async function copy(fromIo: StorageIo, from: string, toIo: StorageIo, to: string): Promise<void> {
  const source = fromIo.open(from);
  const target = toIo.open(to, { create: true });
  try {
    await runAsync(toIo, ioSteps.truncate(toIo, target, fromIo.size(source)));
    const piece = new Uint8Array(PIECE_BYTES);
    for (let offset = 0; ; ) {
      const length = await runAsync(fromIo, ioSteps.read(fromIo, source, piece, offset));
      if (length === 0) break;
      await runAsync(toIo, ioSteps.write(toIo, target, piece.subarray(0, length), offset));
      offset += length;
    }
    await runAsync(toIo, ioSteps.datasync(toIo, target));
  } finally {
    fromIo.close(source);
    toIo.close(target);
  }
}
