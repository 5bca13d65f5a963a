import { join } from 'node:path';
import { FileName } from '@walstack/codec';
import { readWholeFile } from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';

/** Whether a log has noted the backup in a directory: on a full disk it makes one without. */
export function* isKnownBackup(io: StorageIo, directory: string, backup: string): IoRoutine<boolean> {
  const list = yield* textOf(io, backup, FileName.backup);
  const id = /"id":"([0-9a-f]{32})"/.exec(list)?.[1];
  if (id === undefined) throw new Error(`the list of the backup has no id: ${list}`);
  return (yield* textOf(io, directory, FileName.madeBackups)).includes(id);
}

function* textOf(io: StorageIo, directory: string, name: string): IoRoutine<string> {
  if (!io.list(directory).includes(name)) return '';
  return Buffer.from(yield* readWholeFile(io, join(directory, name))).toString('latin1');
}
