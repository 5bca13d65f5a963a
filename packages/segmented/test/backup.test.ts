import { statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { SegmentedWal } from '@walstack/segmented';
import { createSyncFsStorageIo, createThreadPoolStorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { filled, hashes, openBackedUp, readAll, recordsIn } from './support/backups.js';
import { BACKENDS } from './support/environments.js';

describe.each(BACKENDS)('on %s', (_name, create) => {
  test('a backup opens as the log as it was, with its LSNs, checkpoint and holds', async () => {
    const { io, wal, fill, beside } = await openBackedUp(create());
    await fill(40);
    await wal.checkpoint(7);
    await wal.hold('replica', 12);
    wal.append('not synced'.padEnd(300));
    const report = await wal.backup(beside('backup'));
    expect(report).toMatchObject({ firstLsn: 1, lastLsn: 41, keptSegments: 0 });
    expect(report.segments).toBe(wal.listSegments().length);
    expect(report.copiedSegments + report.linkedSegments).toBe(report.segments);
    expect(wal.durableLsn).toBe(41);
    const expected = [...filled(1, 40), '41: not synced'];
    await fill(60);
    expect(await readAll(io, beside('backup'))).toEqual(expected);
    const readonly = await SegmentedWal.open({ directory: beside('backup'), io, recoveryMode: 'readonly' });
    expect([readonly.durableLsn, readonly.checkpointLsn, readonly.holds]).toEqual([41, 7, { replica: 12 }]);
    await readonly.close();
    await wal.close();
    await io.dispose();
  });

  test('a backup that is restored in its place goes on as a log of its own, and its original too', async () => {
    const { io, config, wal, fill, beside } = await openBackedUp(create(), {
      preallocate: 'write',
      recycleSegments: 2,
    });
    await fill(40);
    await wal.backup(beside('backup'));
    const restored = await SegmentedWal.open({ ...config, directory: beside('backup') });
    expect(restored.recovery).toMatchObject({ reason: 'unclosed', cutBytes: 0, lastLsn: 40 });
    // Both free files that they share, and need new ones.
    for (const log of [restored, wal]) {
      await log.truncateBefore(30);
      for (let record = 0; record < 30; record++) {
        log.append(`${log === wal ? 'original' : 'restored'} ${log.nextLsn}`.padEnd(300));
        await log.sync();
      }
    }
    expect((await recordsIn(restored)).slice(-30)).toEqual(filled(41, 70, 'restored'));
    expect((await recordsIn(wal)).slice(-30)).toEqual(filled(41, 70, 'original'));
    await restored.close();
    await wal.close();
    for (const directory of [config.directory, beside('backup')]) {
      const again = await SegmentedWal.open({ ...config, directory });
      expect(again.recovery).toMatchObject({ cleanlyClosed: true, lastLsn: 70 });
      await again.close();
    }
    await io.dispose();
  });

  test('a second backup into the same directory copies what is new, and a third one nothing', async () => {
    const { io, wal, fill, beside } = await openBackedUp(create());
    await fill(40);
    const first = await wal.backup(beside('backup'));
    await fill(60);
    const second = await wal.backup(beside('backup'));
    expect(second.keptSegments).toBe(first.segments - 1);
    expect(second).toMatchObject({ firstLsn: 1, lastLsn: 60 });
    expect(await readAll(io, beside('backup'))).toEqual(filled(1, 60));
    const before = await hashes(io, beside('backup'));
    const third = await wal.backup(beside('backup'));
    expect(third).toMatchObject({
      keptSegments: second.segments,
      copiedSegments: 0,
      linkedSegments: 0,
      copiedBytes: 0,
    });
    expect(await hashes(io, beside('backup'))).toEqual(before);
    await wal.close();
    await io.dispose();
  });

  test.each([
    ['truncateBefore', (wal: SegmentedWal) => wal.truncateBefore(30)],
    ['truncateBefore of everything', (wal: SegmentedWal) => wal.truncateBefore(wal.nextLsn)],
    ['truncateAfter', (wal: SegmentedWal) => wal.truncateAfter(23)],
    ['truncateAfter of everything', (wal: SegmentedWal) => wal.truncateAfter(0)],
    ['resetTo', (wal: SegmentedWal) => wal.resetTo(100)],
  ])('a backup follows its log after %s', async (_what, change) => {
    const { io, wal, fill, beside } = await openBackedUp(create());
    await fill(40);
    await wal.checkpoint(35);
    await wal.hold('replica', 38);
    await wal.backup(beside('backup'));
    await wal.releaseHold('replica');
    await change(wal);
    for (const more of [0, 30]) {
      await fill(wal.lastLsn + more, 'later');
      const report = await wal.backup(beside('backup'));
      expect(report).toMatchObject({
        firstLsn: wal.firstLsn,
        lastLsn: wal.lastLsn,
        segments: wal.listSegments().length,
      });
      expect(await readAll(io, beside('backup'))).toEqual(await recordsIn(wal));
      const names = io.list(beside('backup')).filter((name) => name.startsWith('wal-'));
      expect(names).toEqual(wal.listSegments().map(({ path }) => basename(path)));
    }
    await wal.close();
    await io.dispose();
  });

  test('a log that was closed and opened again is backed up into the same directory', async () => {
    const { io, config, wal, fill, beside } = await openBackedUp(create());
    await fill(10);
    await wal.backup(beside('backup'));
    await wal.close();
    for (let opening = 1; opening <= 3; opening++) {
      const again = await SegmentedWal.open(config);
      await again.backup(beside('backup'));
      again.append(`opening ${opening}`.padEnd(300));
      const report = await again.backup(beside('backup'));
      expect(report).toMatchObject({ firstLsn: 1, lastLsn: 10 + opening });
      expect(await readAll(io, beside('backup'))).toEqual(await recordsIn(again));
      await again.close();
    }
    await io.dispose();
  });

  test('an empty log, and one that begins with another LSN', async () => {
    const { io, wal, beside } = await openBackedUp(create(), { firstLsn: 500 });
    expect(await wal.backup(beside('backup'))).toMatchObject({ firstLsn: 500, lastLsn: 499, segments: 1 });
    await wal.close();
    const restored = await SegmentedWal.open({ directory: beside('backup'), io });
    expect([restored.firstLsn, restored.nextLsn]).toEqual([500, 500]);
    await restored.close();
    await io.dispose();
  });

  test('several at once are made one after another, also into the same directory', async () => {
    const { io, wal, fill, beside } = await openBackedUp(create());
    await fill(40);
    const names = ['a', 'b', 'a', 'c', 'a'];
    const reports = await Promise.all(names.map((name) => wal.backup(beside(name))));
    expect(reports.map(({ lastLsn }) => lastLsn)).toEqual([40, 40, 40, 40, 40]);
    expect(reports.map(({ keptSegments, segments }) => keptSegments === segments)).toEqual([
      false,
      false,
      true,
      false,
      true,
    ]);
    for (const name of ['a', 'b', 'c']) expect(await readAll(io, beside(name))).toEqual(filled(1, 40));
    await wal.close();
    await io.dispose();
  });

  test('a signal ends it, and the next one goes on with what was copied', async () => {
    const { io, wal, fill, beside } = await openBackedUp(create());
    await fill(40);
    await wal.backup(beside('backup'));
    const before = await readAll(io, beside('backup'));
    await fill(80);
    const ending = new AbortController();
    const reason = new Error('enough');
    const options = {
      signal: ending.signal,
      onProgress: ({ bytes, totalBytes }: { bytes: number; totalBytes: number }) => {
        if (bytes * 4 > totalBytes * 3) ending.abort(reason);
      },
    };
    expect(await rejection(wal.backup(beside('backup'), options))).toMatchObject({
      code: 'WAL_ABORTED',
      name: 'AbortError',
      cause: reason,
    });
    expect(await readAll(io, beside('backup'))).toEqual(before);
    expect(await rejection(wal.backup(beside('backup'), options))).toMatchObject({ code: 'WAL_ABORTED' });
    const { keptSegments, segments } = await wal.backup(beside('backup'));
    expect(keptSegments).toBeGreaterThan(before.length / 12 + 1);
    expect(keptSegments).toBeLessThan(segments);
    expect(await readAll(io, beside('backup'))).toEqual(filled(1, 80));
    expect(io.list(beside('backup')).filter((name) => name.startsWith('staged-'))).toEqual([]);
    await wal.close();
    await io.dispose();
  });

  test('progress goes up to the end, and what its function throws ends the backup', async () => {
    const { io, wal, fill, beside } = await openBackedUp(create());
    await fill(40);
    const seen: { phase: string; bytes: number; totalBytes: number; records: number }[] = [];
    const { bytes } = await wal.backup(beside('backup'), { onProgress: (progress) => seen.push(progress) });
    expect(seen.length).toBeGreaterThan(wal.listSegments().length);
    expect(seen.every((each, index) => index === 0 || each.bytes >= (seen[index - 1]?.bytes as number))).toBe(true);
    expect(seen.at(-1)).toEqual({ phase: 'switch', bytes, totalBytes: bytes, records: 40 });
    const failing = wal.backup(beside('other'), {
      onProgress: () => {
        throw new Error('no more');
      },
    });
    expect((await rejection(failing)).message).toBe('no more');
    expect(await rejection(readAll(io, beside('other')))).toMatchObject({ code: 'WAL_STATE', state: 'backup-begun' });
    expect(await rejection(SegmentedWal.open({ directory: beside('other'), io }))).toMatchObject({ code: 'WAL_STATE' });
    await wal.backup(beside('other'));
    expect(await readAll(io, beside('other'))).toEqual(filled(1, 40));
    await wal.close();
    await io.dispose();
  });

  test('closing the log ends a backup, and leaves no file open and no lock', async () => {
    const { io, config, wal, fill, beside } = await openBackedUp(create());
    await fill(40);
    let closed: Promise<void> | undefined;
    const backup = wal.backup(beside('backup'), {
      hardLinks: false,
      onProgress: () => {
        closed ??= wal.close();
      },
    });
    const second = wal.backup(beside('backup'));
    expect(await rejection(backup)).toMatchObject({ code: 'WAL_CLOSED' });
    expect(await rejection(second)).toMatchObject({ code: 'WAL_CLOSED' });
    await closed;
    expect(await rejection(wal.backup(beside('backup')))).toMatchObject({ code: 'WAL_CLOSED' });
    io.lock(join(beside('backup'), 'LOCK'))();
    const again = await SegmentedWal.open(config);
    expect(again.recovery).toMatchObject({ cleanlyClosed: true });
    await again.backup(beside('backup'));
    expect(await readAll(io, beside('backup'))).toEqual(filled(1, 40));
    await again.close();
    await io.dispose();
  });

  test('truncation leaves what is still to be copied', async () => {
    const { io, wal, fill, beside } = await openBackedUp(create());
    await fill(40);
    let truncation: Promise<unknown> | undefined;
    const onProgress = (): void => {
      truncation ??= wal.truncateBefore(wal.lastLsn);
    };
    await wal.backup(beside('backup'), { hardLinks: false, onProgress });
    await truncation;
    expect(wal.firstLsn).toBe(1);
    expect(await readAll(io, beside('backup'))).toEqual(filled(1, 40));
    await wal.truncateBefore(wal.lastLsn);
    expect(wal.firstLsn).toBeGreaterThan(30);
    await wal.close();
    await io.dispose();
  });

  test('beside cuts and truncation it is the log at one moment', async () => {
    const { io, wal, fill, beside } = await openBackedUp(create(), { preallocate: 'write', recycleSegments: 4 });
    for (let round = 1; round <= 6; round++) {
      await fill(wal.lastLsn + 30, `round ${round}`);
      const backup = wal.backup(beside('backup'), { hardLinks: round % 2 === 0 });
      const before = await recordsIn(wal);
      if (round % 3 === 0) await wal.truncateBefore(wal.lastLsn - 5);
      await wal.truncateAfter(Math.max(wal.firstLsn, wal.lastLsn - 12));
      const after = await recordsIn(wal);
      await fill(wal.lastLsn + 20, `behind ${round}`);
      const { firstLsn, lastLsn } = await backup;
      const found = await readAll(io, beside('backup'));
      expect(found).toHaveLength(lastLsn - firstLsn + 1);
      const isBefore = found.at(-1) === before.at(-1);
      const all = isBefore ? before : await recordsIn(wal);
      expect(isBefore || lastLsn >= wal.lastLsn - 20).toBe(true);
      expect(all.join('\n')).toContain(found.slice(Math.max(0, found.length - after.length)).join('\n'));
    }
    await wal.close();
    await io.dispose();
  });
});

describe.each([
  ['sync-fs', createSyncFsStorageIo],
  ['thread-pool', createThreadPoolStorageIo],
])('hard links on %s', (_name, create) => {
  test('sealed segments share their file, the newest one does not, and no file of the backup is written again', async () => {
    const { io, config, wal, fill, beside } = await openBackedUp(create(), {
      preallocate: 'write',
      recycleSegments: 4,
    });
    await fill(60);
    const report = await wal.backup(beside('backup'));
    expect(report).toMatchObject({ linkedSegments: report.segments - 1, copiedSegments: 1 });
    const segments = wal.listSegments();
    for (const { path, state } of segments) expect(statSync(path).nlink).toBe(state === 'active' ? 1 : 2);
    const before = await hashes(io, beside('backup'));
    // Freed files would be used for the next segments, of this opening and, killed or closed, of later ones.
    const { segmentsRecycled, segmentsDeleted } = await wal.truncateBefore(58);
    expect([segmentsRecycled, segmentsDeleted]).toEqual([0, segments.length - 1]);
    await fill(120);
    await wal.truncateBefore(110);
    await wal.truncateAfter(112);
    await fill(160);
    await wal.close();
    const again = await SegmentedWal.open(config);
    await again.truncateBefore(again.nextLsn);
    for (let record = 0; record < 40; record++) {
      again.append('y'.repeat(300));
      await again.sync();
    }
    await again.close();
    expect(await hashes(io, beside('backup'))).toEqual(before);
    expect(await readAll(io, beside('backup'))).toEqual(filled(1, 60));
    await io.dispose();
  });

  test('with hardLinks: false every file is copied', async () => {
    const { io, wal, fill, beside } = await openBackedUp(create());
    await fill(60);
    const report = await wal.backup(beside('backup'), { hardLinks: false });
    expect(report).toMatchObject({ linkedSegments: 0, copiedSegments: report.segments, copiedBytes: report.bytes });
    for (const { path } of wal.listSegments()) expect(statSync(path).nlink).toBe(1);
    expect(await readAll(io, beside('backup'))).toEqual(filled(1, 60));
    await wal.close();
    await io.dispose();
  });
});
