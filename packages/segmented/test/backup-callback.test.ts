import { WalError, type WalErrorCode } from '@walstack/codec';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { filled, openBackedUp, readAll } from './support/backups.js';

test.each<WalErrorCode>(['WAL_NOT_FOUND', 'WAL_TRUNCATED', 'WAL_BAD_HEADER', 'WAL_CORRUPT'])(
  'what onProgress throws ends a backup, also with the code %s while the log is cut',
  async (code) => {
    const { io, wal, fill, beside } = await openBackedUp(createMemoryStorageIo());
    await fill(40);
    const failure = new WalError(code, 'of another log');
    let calls = 0;
    const backup = wal.backup(beside('backup'), {
      hardLinks: false,
      onProgress: () => {
        if (++calls === 1) wal.truncateAfterSync(38);
        if (calls === 2) throw failure;
      },
    });
    expect(await rejection(backup)).toBe(failure);
    expect(await wal.backup(beside('backup'))).toMatchObject({ lastLsn: 38 });
    expect(await readAll(io, beside('backup'))).toEqual(filled(1, 38));
    await wal.close();
  },
);

test.each([
  ['another directory', 'second'],
  ['the same directory', 'first'],
])('onProgress cannot wait for a backup into %s, which begins behind its own, and that goes on', async (_, name) => {
  const { io, wal, fill, beside } = await openBackedUp(createMemoryStorageIo());
  await fill(40);
  const refusals: unknown[] = [];
  const behind: Promise<unknown>[] = [];
  const onProgress = (): void => {
    if (refusals.length > 0) return;
    try {
      wal.backupSync(beside(name));
    } catch (error) {
      refusals.push(error);
    }
    behind.push(wal.backup(beside(name)));
  };
  expect(await wal.backup(beside('first'), { onProgress })).toMatchObject({ lastLsn: 40 });
  expect(refusals).toEqual([expect.objectContaining({ code: 'WAL_STATE', state: 'reporting' })]);
  expect(await Promise.all(behind)).toEqual([expect.objectContaining({ lastLsn: 40 })]);
  for (const each of ['first', name]) expect(await readAll(io, beside(each))).toEqual(filled(1, 40));
  await wal.close();
});
