import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { groupsGoSideBySide } from './support/capabilities.js';

describe.each(BACKENDS)('on %s', (name, create) => {
  test('stats add up, and a snapshot stays as it is', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), {
      io,
      directIo: false,
      preallocate: 'none',
      ...new ManualTime().options,
    });
    const fresh = wal.stats();
    expect(fresh).toEqual({
      state: 'running',
      firstLsn: 1,
      lastLsn: 0,
      durableLsn: 0,
      records: 0,
      groups: 0,
      syncs: expect.any(Number),
      marks: 0,
      rolls: 0,
      recycled: 0,
      directIo: false,
      bytesWritten: expect.any(Number),
      pendingBytes: 0,
      preparation: { state: 'off', preparedBytes: 0, segmentBytes: 0 },
      reserve: { state: 'off', bytes: 0, releases: 0 },
      waitsForSpace: false,
      segments: 1,
      sizeBytes: 4096,
      commits: 0,
      backend: name,
      followers: [],
      waitingCommits: 0,
      waitingForRoom: 0,
    });
    expect(Object.isFrozen(fresh)).toBe(true);

    for (let each = 0; each < 10; each++) wal.append('x'.repeat(100));
    const appended = wal.stats();
    expect(appended).toMatchObject({ records: 10, lastLsn: 10, durableLsn: 0, groups: 0, syncs: fresh.syncs });
    expect(appended.pendingBytes).toBeGreaterThan(1000);
    expect(appended.bytesWritten).toBe(fresh.bytesWritten);

    await wal.flush();
    const flushed = wal.stats();
    expect(flushed).toMatchObject({ records: 10, groups: 1, pendingBytes: 0, durableLsn: 0, syncs: fresh.syncs });
    const written = flushed.bytesWritten - fresh.bytesWritten;
    if (groupsGoSideBySide(io)) expect(written).toBe(Math.ceil(appended.pendingBytes / 4096) * 4096);
    else expect(written).toBe(appended.pendingBytes);

    await wal.sync();
    expect(wal.stats()).toMatchObject({ durableLsn: 10, groups: 1, syncs: fresh.syncs + 1 });

    const commits = Promise.all([wal.commit('y'), wal.commit('y')]);
    expect(wal.stats()).toMatchObject({ records: 12, waitingCommits: 2, durableLsn: 10 });
    await commits;
    expect(wal.stats()).toMatchObject({ records: 12, commits: 2, waitingCommits: 0, durableLsn: 12 });
    expect(fresh).toMatchObject({ records: 0, lastLsn: 0 });
    expect(appended).toMatchObject({ records: 10, durableLsn: 0 });
  });

  test('rolls and segments are counted', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io, segmentBytes: 4096, blockBytes: 512 });
    for (let each = 0; each < 20; each++) await wal.commit('x'.repeat(1000));
    const { rolls, segments } = wal.stats();
    expect([rolls, segments]).toEqual([6, 7]);
  });
});
