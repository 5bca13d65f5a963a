import { SegmentedWal } from '@walstack/segmented';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';

test('after a failed sync of the directory there is no further one, and calls that wait for a later one are rejected', async () => {
  const disk = new SimulatedDisk({ seed: 3 });
  const io = disk.createStorageIo({ completesInline: false });
  const config = { directory: '/log', blockBytes: 512, segmentBytes: 2048, recycleSegments: 0 } as const;
  const wal = await SegmentedWal.open({ ...config, io, ...new TestEnvironment(3).options });
  wal.append(new Uint8Array(1000));
  await wal.sync();
  let syncs = 0;
  disk.failWhen(({ kind }) => (kind === 'sync-directory' && ++syncs === 1 ? 'EIO' : undefined));
  // The name of a checkpoint, and that of the next segment: each has a sync behind it.
  const held = wal.hold('reader', 1);
  wal.append(new Uint8Array(1500));
  const outcomes = await Promise.allSettled([held, wal.sync()]);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(syncs).toBe(1);
  await wal.close().catch(() => {});
});

test('a log whose name cannot be made durable, all directories above included, is not opened', async () => {
  for (const path of ['/a/b', '/a', '/']) {
    const disk = new SimulatedDisk({ seed: 3 });
    const io = disk.createStorageIo();
    disk.failWhen((operation) => (operation.kind === 'sync-directory' && operation.path === path ? 'EIO' : undefined));
    const opened = SegmentedWal.open({ directory: '/a/b/log', io, ...new TestEnvironment(3).options });
    await expect(opened).rejects.toMatchObject({ code: 'WAL_IO_FAILED', path });
  }
});

describe('a sync of the directory that finds no room when a freed file is taken again fails the log at once', () => {
  /** A log with freed files, and what makes the next sync of its directory fail. */
  async function withFreedFiles(preallocate: 'write' | 'none') {
    const disk = new SimulatedDisk({ seed: 3 });
    const io = disk.createStorageIo();
    const config = { directory: '/log', blockBytes: 512, segmentBytes: 4096, preallocate, recycleSegments: 2 } as const;
    const wal = await SegmentedWal.open({ ...config, io, ...new TestEnvironment(3).options });
    while (wal.stats().rolls < 2) {
      wal.append(new Uint8Array(400));
      await wal.sync();
    }
    expect(await wal.truncateBefore(wal.activeSegmentFirstLsn)).toMatchObject({ segmentsRecycled: 2 });
    const failOnce = (): void => {
      let isTaken = false;
      let failed = 0;
      disk.failWhen(({ kind, path }) => {
        isTaken ||= kind === 'rename' && path.includes('free-');
        return kind === 'sync-directory' && isTaken && failed++ === 0 ? 'ENOSPC' : undefined;
      });
    };
    return { io, wal, failOnce };
  }

  test('in the background, and not when the next segment gets its name', async () => {
    const { io, wal, failOnce } = await withFreedFiles('write');
    failOnce();
    let refused: unknown;
    // The next segment may be prepared in a new file already: then the one behind it takes a freed one.
    while (refused === undefined && wal.stats().rolls < 5) {
      wal.append(new Uint8Array(400));
      await wal.sync().catch((error: unknown) => {
        refused = error;
      });
    }
    expect(refused).toMatchObject({ code: 'WAL_NO_SPACE' });
    expect(io.list('/log')).toContain('next.seg');
    await wal.close();
  });

  test('under a call that goes on in that file', async () => {
    const { wal, failOnce } = await withFreedFiles('none');
    wal.append('one');
    failOnce();
    await expect(wal.truncateBefore(wal.nextLsn)).rejects.toMatchObject({ code: 'WAL_NO_SPACE' });
    expect(wal.failure).toMatchObject({ code: 'WAL_NO_SPACE' });
    await wal.close();
  });
});
