import { type IoRoutine, ioSteps, runSync, type StorageIo } from '@walstack/storage-io';

/** Bytes of a sector, for short tests. */
export const SECTOR = 512;

/** So many sectors of one letter. */
export const sectors = (letter: string, count = 1): Uint8Array => Buffer.alloc(count * SECTOR, letter);

/** Opens a file for one step, and closes it. */
function withFile<T>(io: StorageIo, path: string, use: (file: ReturnType<StorageIo['open']>) => IoRoutine<T>): T {
  const file = io.open(path, { create: true });
  try {
    return runSync(io, use(file));
  } finally {
    io.close(file);
  }
}

export function write(io: StorageIo, path: string, data: Uint8Array | string, offset = 0): void {
  withFile(io, path, (file) => ioSteps.write(io, file, Buffer.from(data), offset));
}

export function writeDurably(io: StorageIo, path: string, data: Uint8Array | string, offset = 0): void {
  withFile(io, path, (file) => ioSteps.write(io, file, Buffer.from(data), offset, { durable: true }));
}

export function truncate(io: StorageIo, path: string, bytes: number): void {
  withFile(io, path, (file) => ioSteps.truncate(io, file, bytes));
}

export function sync(io: StorageIo, path: string): void {
  withFile(io, path, (file) => ioSteps.datasync(io, file));
}

export const syncDirectory = (io: StorageIo, path = '/'): void => runSync(io, ioSteps.syncDirectory(io, path));

export const remove = (io: StorageIo, path: string): void => runSync(io, ioSteps.remove(io, path));

/** Everything in a file. */
export function read(io: StorageIo, path: string): Buffer {
  return withFile(io, path, function* (file) {
    const bytes = Buffer.alloc(io.size(file));
    yield* ioSteps.read(io, file, bytes, 0);
    return bytes;
  });
}

/** The first letter of each sector of a file, `-` for a zero, and what the last one has less than a sector as a number. */
export function letters(io: StorageIo, path: string): string {
  const bytes = read(io, path);
  let text = '';
  for (let at = 0; at < bytes.length; at += SECTOR) {
    const sector = bytes.subarray(at, at + SECTOR);
    text += sector[0] === 0 ? '-' : String.fromCharCode(sector[0] as number);
    if (sector.length < SECTOR) text += sector.length;
  }
  return text;
}
