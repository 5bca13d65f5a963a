import { replayQuarantine, SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { type BackedUpLog, filled, openBackedUp, readAll } from './support/backups.js';
import { flip, readFile, writeFile } from './support/files.js';
import { recordsOf } from './support/logs.js';

const SEGMENT_BYTES = 16 * 1024;

/** Changes a byte of a record of the oldest segment, which is closed. */
function damage(io: StorageIo, { path }: { readonly path: string }, lsn: number): void {
  const bytes = readFile(io, path);
  const { start } = recordsOf(bytes).find((each) => each.lsn === lsn && !each.mark) as { start: number };
  writeFile(io, path, flip(start + 100)(bytes));
}

/** Takes everything out of a log whose first record is damaged. @returns what is in the quarantine, as in `filled` */
async function givenUp(log: Pick<BackedUpLog, 'io' | 'config'>, directory: string): Promise<string[]> {
  const { io, config } = log;
  const readonly = await SegmentedWal.open({ ...config, directory, recoveryMode: 'readonly' });
  const [oldest] = readonly.listSegments();
  await readonly.close();
  damage(io, oldest as { path: string }, 1);
  await using wal = await SegmentedWal.open({ ...config, directory, recoveryMode: 'salvage' });
  const { quarantine } = wal.recovery.salvage as { quarantine: string };
  return Array.from(
    replayQuarantine(quarantine, { io }),
    ({ lsn, payload }) => `${lsn}: ${Buffer.from(payload).toString().trim()}`,
  );
}

/** Up to 20 in one segment; cut off behind 10, continued in the next segment, and then all from 5 on given up by a salvage. */
async function cutAndSalvaged(log: BackedUpLog, beforeCut: () => Promise<unknown>): Promise<SegmentedWal> {
  const { io, config, wal, fill } = log;
  await fill(20);
  await beforeCut();
  await wal.truncateAfter(10);
  await fill(12, 'behind the cut');
  const [oldest] = wal.listSegments();
  await wal.close();
  damage(io, oldest as { path: string }, 5);
  return await SegmentedWal.open({ ...config, recoveryMode: 'salvage' });
}

describe.each([
  ['in memory', () => createMemoryStorageIo()],
  ['in files', () => createSyncFsStorageIo()],
] as const)('a log %s that was cut', (_how, make) => {
  test('and salvaged then, has nothing in its backup that was cut off, also behind the end of a segment', async () => {
    await using io = make();
    const log = await openBackedUp(io, { segmentBytes: SEGMENT_BYTES });
    const wal = await cutAndSalvaged(log, async () => {});
    const backup = log.beside('backup');
    await wal.backup(backup);
    await wal.close();
    expect(await readAll(io, backup)).toEqual(filled(1, 4));
    expect(await givenUp(log, backup)).toEqual(filled(2, 4));
  });

  test('takes what was cut off out of the files of a backup from before', async () => {
    await using io = make();
    const log = await openBackedUp(io, { segmentBytes: SEGMENT_BYTES });
    const backup = log.beside('backup');
    const { wal, fill } = log;
    await fill(20);
    await fill(100, 'in later segments');
    await wal.backup(backup);
    await wal.truncateAfter(10);
    await wal.backup(backup);
    await wal.close();
    expect(await readAll(io, backup)).toEqual(filled(1, 10));
    const copy = await SegmentedWal.open({ ...log.config, directory: backup, recoveryMode: 'readonly' });
    const [oldest] = copy.listSegments();
    await copy.close();
    const inFile = recordsOf(readFile(io, (oldest as { path: string }).path)).filter(({ mark }) => !mark);
    expect(inFile.map(({ lsn }) => lsn)).toEqual(filled(1, 10).map((_, index) => index + 1));
  });
});
