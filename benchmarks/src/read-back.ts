import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Wal } from '@walstack/wal';
import { RecordCheck } from './records.js';

/** Checks that a log holds the records 1 to `count`, under LSNs 1 to `count`, and nothing else. */
export async function checkLog(directory: string, count: number, bytes: number): Promise<void> {
  const check = new RecordCheck();
  await using wal = await Wal.open(directory, { create: false });
  await wal.replay(
    'first',
    ({ lsn, payload }) => {
      check.next(payload, bytes);
      if (lsn !== check.count) throw new Error(`record ${check.count} has LSN ${lsn}`);
    },
    { copy: false },
  );
  check.end(count);
}

/** Checks that a file holds the records 1 to `count`, one behind the other, and nothing else. */
export function checkFile(path: string, count: number, bytes: number): void {
  const check = new RecordCheck();
  forEachRecord(path, bytes, (payload) => check.next(payload, bytes));
  check.end(count);
}

/** Hands out views of the records of a file, read in pieces of about a mebibyte. */
export function forEachRecord(path: string, bytes: number, f: (payload: Uint8Array) => void): void {
  const piece = new Uint8Array(Math.max(1, Math.floor(2 ** 20 / bytes)) * bytes);
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    for (let position = 0; position < size; position += piece.length) {
      const length = readSync(fd, piece, 0, piece.length, position);
      for (let at = 0; at < length; at += bytes) f(new Uint8Array(piece.buffer, at, Math.min(bytes, length - at)));
    }
  } finally {
    closeSync(fd);
  }
}
