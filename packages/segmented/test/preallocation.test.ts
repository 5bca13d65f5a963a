import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import type { IoFile, StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { TestEnvironment } from './support/environments.js';
import { createSideBySideStorageIo } from './support/side-by-side.js';

const MEBIBYTE = 1024 * 1024;

const rejection = (error: unknown) => error;

/** Notes every write from its submission to its completion, and what stood against another under way. */
function watchBlocks(io: StorageIo, blockBytes: number): { io: StorageIo; most: () => number; clashes: string[] } {
  const underWay = new Map<number, { file: IoFile; start: number; end: number }>();
  const clashes: string[] = [];
  let most = 0;
  const watched: StorageIo = Object.create(io, {
    submitWrite: {
      value: (...args: Parameters<StorageIo['submitWrite']>) => {
        const [file, data, offset] = args;
        const start = Math.floor(offset / blockBytes);
        const end = Math.ceil((offset + data.length) / blockBytes);
        for (const other of underWay.values()) {
          if (other.file === file && start < other.end && other.start < end)
            clashes.push(`${file.path} block ${start}`);
        }
        const token = io.submitWrite(...args);
        underWay.set(token, { file, start, end });
        most = Math.max(most, underWay.size);
        return token;
      },
    },
    pollCompletions: {
      value: (out: Parameters<StorageIo['pollCompletions']>[0]) => {
        const count = io.pollCompletions(out);
        for (let index = 0; index < count; index++) underWay.delete(out.tokens[index] as number);
        return count;
      },
    },
  });
  for (const name of ['capabilities', 'name', 'pending'] as const) {
    Object.defineProperty(watched, name, { get: () => io[name] });
  }
  const bound = [
    'open',
    'close',
    'size',
    'list',
    'rename',
    'makeDirectory',
    'stat',
    'lock',
    'lockFile',
    'submitAppend',
  ];
  bound.push('submitRead', 'submitDatasync', 'submitSyncDirectory', 'submitTruncate', 'submitAllocate', 'submitRemove');
  bound.push('flush', 'waitCompletions', 'onReady', 'allocateBuffer', 'stats', 'dispose');
  for (const name of bound) {
    const method = io[name as keyof StorageIo] as (...args: unknown[]) => unknown;
    Object.defineProperty(watched, name, { value: method.bind(io) });
  }
  return { io: watched, most: () => most, clashes };
}

async function openOn(io: StorageIo, config: Partial<SegmentedWalConfig> = {}) {
  const directory = join(temporaryDirectory(), 'log');
  const wal = await SegmentedWal.open({ directory, io, ...new TestEnvironment().options, ...config });
  return { directory, wal };
}

describe('blocks are preallocated ahead of the writer', () => {
  test.each(['write', 'allocate'] as const)(
    'by %s, the beginning of the first segment at once, and the file is cut when the log is closed',
    async (how) => {
      const io = createSideBySideStorageIo();
      const { wal } = await openOn(io, { padGroups: true, preallocate: how });
      for (let record = 0; record < 10; record++) {
        wal.append('a record');
        await wal.sync();
      }
      const [segment] = wal.listSegments();
      expect(statSync(segment?.path as string).size).toBe(4096 + MEBIBYTE / 4);
      await wal.close();
      expect(statSync(segment?.path as string).size).toBe(12 * 4096);
      await io.dispose();
    },
  );

  test.each([
    ['allocate', ['allocate']],
    ['write', ['write']],
  ] as const)('by %s, and in no other way', async (how, kinds) => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo({ durableWrites: true, overlappedWrites: true, directAlignment: 512 });
    const config = { blockBytes: 512, segmentBytes: 64 * 512, preallocate: how, markAfterMs: 0 } as const;
    const wal = SegmentedWal.openSync({ directory: '/log', io, ...new TestEnvironment().options, ...config });
    const seen = new Set<string>();
    disk.failWhen(({ kind, path }) => {
      if (kind === 'allocate' || (kind === 'write' && path.endsWith('.seg'))) seen.add(kind);
      return undefined;
    });
    for (let record = 0; record < 60; record++) {
      wal.append('a record');
      wal.syncSync();
    }
    expect([...seen]).toEqual(kinds);
    wal.closeSync();
  });

  test('not where that is turned off', async () => {
    const io = createSideBySideStorageIo();
    const { wal } = await openOn(io, { padGroups: true, preallocate: 'none' });
    for (let record = 0; record < 10; record++) {
      wal.append('a record');
      await wal.sync();
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(statSync(wal.listSegments()[0]?.path as string).size).toBe(11 * 4096);
    await wal.close();
    await io.dispose();
  });

  test('the next segment is prepared when three quarters of this one are used, and is gone when the log is closed', async () => {
    const io = createSideBySideStorageIo();
    const { directory, wal } = await openOn(io, { padGroups: true, segmentBytes: 64 * 4096 });
    const next = join(directory, 'next.seg');
    expect(existsSync(next)).toBe(false);
    for (let record = 0; record < 55; record++) {
      wal.append('a record');
      await wal.sync();
    }
    while (wal.stats().preparation.state !== 'ready') await new Promise(setImmediate);
    expect(wal.stats()).toMatchObject({ rolls: 0, preparation: { preparedBytes: 64 * 4096, segmentBytes: 64 * 4096 } });
    expect(statSync(next).size).toBe(64 * 4096);
    await wal.close();
    expect(existsSync(next)).toBe(false);
    await io.dispose();
  });

  test('preallocated blocks are not records: a log that was not closed ends behind its last record', async () => {
    const io = createSideBySideStorageIo();
    const { directory, wal } = await openOn(io);
    for (let record = 0; record < 5; record++) wal.append(`record ${record}`);
    await wal.sync();
    const path = wal.listSegments()[0]?.path as string;
    expect(statSync(path).size).toBeGreaterThan(MEBIBYTE / 4);
    // Disposed of without a close: the lock goes, the files stay as they are.
    await io.dispose();
    const again = createSideBySideStorageIo();
    const recovered = await SegmentedWal.open({ directory, io: again });
    expect(recovered.recovery).toMatchObject({ cleanlyClosed: false, records: 5, lastLsn: 5 });
    await recovered.close();
    expect(statSync(path).size).toBeLessThanOrEqual(3 * 4096);
    await again.dispose();
  });
});

test('several groups are under way, and no two writes touch the same block', async () => {
  const watched = watchBlocks(createSideBySideStorageIo(), 512);
  const { directory, wal } = await openOn(watched.io, { segmentBytes: 256 * 1024, blockBytes: 512 });
  const syncs: Promise<void>[] = [];
  for (let record = 0; record < 2000; record++) {
    wal.append(new Uint8Array((record * 7919) % 1500).fill(record));
    if (record % 3 === 0) syncs.push(wal.sync());
    if (record % 10 === 0) await new Promise(setImmediate);
  }
  await Promise.all(syncs);
  await wal.sync();
  expect(wal.durableLsn).toBe(2000);
  expect(watched.most()).toBeGreaterThan(2);
  expect(watched.clashes).toEqual([]);
  await wal.close();
  const again = await SegmentedWal.open({ directory, io: watched.io });
  let lsn = 0;
  for await (const record of again.replay()) {
    lsn++;
    expect([record.lsn, record.payload.length]).toEqual([lsn, ((lsn - 1) * 7919) % 1500]);
  }
  expect(lsn).toBe(2000);
  await again.close();
  await watched.io.dispose();
});

test('maxInFlight: 1 has one write under way at a time', async () => {
  const watched = watchBlocks(createSideBySideStorageIo(), 4096);
  const { wal } = await openOn(watched.io, { maxInFlight: 1, preallocate: 'none' });
  const syncs: Promise<void>[] = [];
  for (let record = 0; record < 200; record++) {
    wal.append('a record');
    syncs.push(wal.sync());
    if (record % 10 === 0) await new Promise(setImmediate);
  }
  await Promise.all(syncs);
  expect(watched.most()).toBe(1);
  await wal.close();
  await watched.io.dispose();
});

test('a file system that refuses to be written around is written through, and stats say so', async () => {
  const refused: StorageIo = createSideBySideStorageIo();
  const { wal } = await openOn(refused);
  wal.append('a record');
  await wal.sync();
  expect(wal.stats().directIo).toBe(false);
  await wal.close();
  await refused.dispose();
});

test('a roll that waits for the groups under way takes none of what is appended meanwhile', async () => {
  const io = createSideBySideStorageIo();
  const { directory, wal } = await openOn(io, { maxInFlight: 1, preallocate: 'none' });
  for (let round = 0; round < 20; round++) {
    wal.append(`${wal.nextLsn}`);
    const synced = wal.sync();
    const truncated = wal.truncateBefore(wal.nextLsn);
    const firstLsn = wal.nextLsn;
    for (let turn = 0; turn < 3; turn++) {
      wal.append(`${wal.nextLsn}`);
      await new Promise(setImmediate);
    }
    await Promise.all([synced, truncated, wal.sync()]);
    expect(wal.firstLsn).toBe(firstLsn);
  }
  const { firstLsn, lastLsn } = wal;
  await wal.close();
  const again = await SegmentedWal.open({ directory, io });
  let lsn = firstLsn;
  for await (const { payload } of again.replay()) expect(Buffer.from(payload).toString()).toBe(`${lsn++}`);
  expect(lsn).toBe(lastLsn + 1);
  await again.close();
  await io.dispose();
});

describe.each([
  ['one sync at a time', {}],
  [
    'groups side by side',
    { completesInline: false, overlappedWrites: true, durableWrites: true, directAlignment: 512 },
  ],
] as const)('a sync of the preparation that fails, %s', (_way, options) => {
  test('has everything refused that it may concern', async () => {
    const disk = new SimulatedDisk({ seed: 7 });
    const io = disk.createStorageIo(options);
    const config = { directory: '/log', io, blockBytes: 512, segmentBytes: 4096, preallocate: 'write' } as const;
    const wal = await SegmentedWal.open({ ...config, ...new TestEnvironment(7).options });
    let failed = 0;
    disk.failWhen(({ kind }) => (kind === 'datasync' && failed++ === 0 ? 'failing-sync' : undefined));
    let acknowledged = 0;
    await expect(
      (async () => {
        for (;;) {
          wal.append('x'.repeat(300));
          await wal.flush();
          await wal.sync();
          acknowledged = wal.durableLsn;
        }
      })(),
    ).rejects.toMatchObject({ code: 'WAL_IO_FAILED' });
    expect(failed).toBeGreaterThan(0);
    expect(wal.durableLsn).toBe(acknowledged);
    await wal.close().catch(() => {});
    const after = disk.crash();
    const again = await SegmentedWal.open({
      ...config,
      io: after.createStorageIo(options),
      ...new TestEnvironment(8).options,
    });
    expect(again.lastLsn).toBeGreaterThanOrEqual(acknowledged);
    await again.close();
  });

  test('or that finds no room: whatever is acknowledged afterwards is durable', async () => {
    for (let failing = 0; failing < 15; failing++) {
      const disk = new SimulatedDisk({ seed: 7 });
      const io = disk.createStorageIo(options);
      const config = { directory: '/log', io, blockBytes: 512, segmentBytes: 8192, preallocate: 'write' } as const;
      const wal = await SegmentedWal.open({ ...config, ...new TestEnvironment(7).options });
      let syncs = 0;
      disk.failWhen(({ kind }) => (kind === 'datasync' && syncs++ === failing ? 'ENOSPC' : undefined));
      let failure: unknown;
      for (let round = 0; round < 15 && failure === undefined; round++) {
        wal.append('x'.repeat(300));
        failure = await wal.flush().catch(rejection);
        if (failure !== undefined) break;
        wal.append('x'.repeat(300));
        failure = await wal.sync().catch(rejection);
      }
      expect(syncs).toBeGreaterThan(failing);
      if (failure !== undefined) expect(failure).toMatchObject({ code: 'WAL_NO_SPACE' });
      const acknowledged = wal.durableLsn;
      await wal.close().catch(() => {});
      const again = await SegmentedWal.open({
        ...config,
        io: disk.crash().createStorageIo(options),
        ...new TestEnvironment(8).options,
      });
      expect(again.lastLsn, `datasync ${failing} failed`).toBeGreaterThanOrEqual(acknowledged);
      await again.close();
    }
  });
});
