import { KeyRing } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { TestEnvironment } from './support/environments.js';

/** Opens the log in a new process; the one that had it open before was killed. */
function open(disk: SimulatedDisk, seed: number): SegmentedWal {
  disk.kill();
  return SegmentedWal.openSync({
    directory: '/log',
    io: disk.createStorageIo(),
    blockBytes: 512,
    segmentBytes: 2048,
    ...new TestEnvironment(seed).options,
  });
}

/** There is no room: nothing is created, and no file grows. */
const fill = (disk: SimulatedDisk): void => {
  disk.capacityBytes = 0;
};

const empty = (disk: SimulatedDisk): void => {
  disk.capacityBytes = Number.POSITIVE_INFINITY;
};

const lsns = (wal: SegmentedWal): number[] => [...wal.replay()].map(({ lsn }) => lsn);

/** Operations that may find none. */
const needsRoom = new Set(['open', 'write', 'datasync', 'sync-directory', 'rename']);

/** A log with 20 durable records that was killed. */
function killed(): SimulatedDisk {
  const disk = new SimulatedDisk();
  const wal = open(disk, 1);
  for (let lsn = 1; lsn <= 20; lsn++) wal.append(new Uint8Array(200));
  wal.syncSync();
  return disk.crash();
}

const TWENTY = Array.from({ length: 20 }, (_, index) => index + 1);

describe('on a full disk', () => {
  test('a killed log opens, is read, refuses records with WAL_NO_SPACE, and goes on when there is room', () => {
    const disk = killed();
    fill(disk);
    const wal = open(disk, 2);
    expect(wal.recovery).toMatchObject({ records: 20, lastLsn: 20, cleanlyClosed: false });
    expect(lsns(wal)).toEqual(TWENTY);
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    wal.syncSync();
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(wal.failure).toBeUndefined();
    expect(wal.nextLsn).toBe(21);

    empty(disk);
    wal.syncSync();
    expect(wal.append('x')).toBe(21);
    wal.syncSync();
    expect(lsns(wal)).toEqual([...TWENTY, 21]);
    wal.closeSync();
    expect(lsns(open(disk.crash(), 3))).toEqual([...TWENTY, 21]);
  });

  test('a refused append alone finds out that there is room again', async () => {
    const disk = killed();
    fill(disk);
    const wal = open(disk, 2);
    empty(disk);
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    await new Promise(setImmediate);
    expect(wal.append('x')).toBe(21);
    wal.closeSync();
  });

  test('a submitted sync says once that the next segment cannot be created, and the log goes on when it can', () => {
    const disk = killed();
    fill(disk);
    const wal = open(disk, 2);
    empty(disk);
    disk.failWhen(({ kind }) => (kind === 'create' ? 'EIO' : undefined));
    wal.submitSync();
    expect(() => wal.checkCompletions(21)).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED' }));
    expect([wal.checkCompletions(21), wal.failure]).toEqual([false, undefined]);
    disk.failWhen(undefined);
    wal.syncSync();
    expect(wal.append('x')).toBe(21);
    wal.closeSync();
  });

  test('a submitted sync does not report what an earlier one has not found, when it is behind it', async () => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo({ completesInline: false });
    const wal = await SegmentedWal.open({
      directory: '/log',
      io,
      blockBytes: 512,
      preallocate: 'none',
      reserveBytes: 0,
    });
    wal.append('a');
    await wal.sync();
    let writes = 0;
    disk.failWhen(({ kind }) => (/write/.test(kind) && ++writes === 1 ? 'ENOSPC' : undefined));
    wal.append('b'.repeat(600));
    wal.submitSync();
    const lsn = wal.submitSync();
    let turns = 0;
    while (!wal.checkCompletions(lsn)) {
      expect(++turns).toBeLessThan(1000);
      await new Promise(setImmediate);
    }
    expect([writes > 1, wal.durableLsn]).toEqual([true, 2]);
    await wal.close();
  });

  test.each([
    ['blocking', {}],
    ['side by side', { completesInline: false, overlappedWrites: true, durableWrites: true }],
  ] as const)(
    'a mark without room refuses no record, and one that waits behind it refuses the next: %s',
    async (_kind, kind) => {
      const disk = new SimulatedDisk();
      let mark = (): void => {};
      const wal = await SegmentedWal.open({
        directory: '/log',
        io: disk.createStorageIo(kind),
        blockBytes: 512,
        preallocate: 'none',
        reserveBytes: 0,
        setTimer: (callback) => {
          mark = callback;
          return () => {};
        },
      });
      wal.append('a');
      await wal.sync();
      let refused = 0;
      // The backend reserves no blocks: the write of the mark itself finds no room.
      disk.failWhen(({ kind: operation }) => (/write/.test(operation) && ++refused > 0 ? 'ENOSPC' : undefined));
      mark();
      await wal.flush().catch(() => {});
      expect(refused).toBeGreaterThan(0);
      expect([wal.durableLsn, wal.stats().waitsForSpace]).toEqual([1, false]);
      expect([wal.append('b'), wal.append('c')]).toEqual([2, 3]);
      await expect(wal.sync()).rejects.toMatchObject({ code: 'WAL_NO_SPACE' });
      expect(wal.stats().waitsForSpace).toBe(true);
      expect(() => wal.append('d')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
      disk.failWhen(() => undefined);
      await wal.sync();
      expect([wal.append('d'), wal.stats().waitsForSpace]).toEqual([4, false]);
      await wal.sync();
      expect([wal.durableLsn, wal.failure]).toEqual([4, undefined]);
      await wal.close();
      disk.kill();
      expect(lsns(open(disk, 9))).toEqual([1, 2, 3, 4]);
    },
  );

  test.each([false, true])(
    'closing rejects with a failure that follows records without room (discard: %s)',
    async (discard) => {
      const disk = new SimulatedDisk();
      const io = disk.createStorageIo({ completesInline: false, overlappedWrites: true, durableWrites: true });
      const sizes = {
        blockBytes: 512,
        segmentBytes: 1024,
        preallocate: 'none',
        reserveBytes: 0,
        markAfterMs: 0,
      } as const;
      const wal = await SegmentedWal.open({ directory: '/log', io, ...sizes });
      wal.append('a'.repeat(400));
      await wal.sync();
      let writes = 0;
      // The group behind a roll, whose header has room, finds none, and then the name of its segment does not: that is final.
      disk.failWhen(({ kind, path }) => {
        const isHeader = kind === 'durable-write' && path.endsWith('next.seg') && ++writes === 1;
        return kind === 'rename' || (kind === 'durable-write' && !isHeader) ? 'ENOSPC' : undefined;
      });
      wal.append('b'.repeat(400));
      const reported: unknown[] = [];
      const report = (error: unknown): void => {
        reported.push(error);
      };
      const synced = wal.sync().catch(report);
      for (let turn = 0; turn < 200 && !wal.stats().waitsForSpace; turn++) await turns(1);
      expect([wal.stats().waitsForSpace, wal.failure]).toEqual([true, undefined]);
      expect(() => wal.append('c')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
      await wal.close({ discard }).catch(report);
      await synced;
      expect(wal.failure).toBeDefined();
      expect(reported).toContain(wal.failure);
    },
  );

  test('appends that are refused try again one at a time', async () => {
    const disk = killed();
    fill(disk);
    const wal = open(disk, 2);
    let attempts = 0;
    disk.failWhen(({ kind, path }) => {
      if (kind === 'create' && path.endsWith('next.seg')) attempts++;
      return undefined;
    });
    const refusedOnce = async (times: number): Promise<number> => {
      attempts = 0;
      for (let time = 0; time < times; time++) expect(() => wal.append('x')).toThrow();
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
      return attempts;
    };
    const once = await refusedOnce(1);
    expect([once > 0, await refusedOnce(50)]).toEqual([true, once]);
  });

  // As on file systems that write anew what is written in place.
  test.each(['write', 'datasync'] as const)(
    'a log whose tail has no room to be written again opens after a preallocated file was removed: %s',
    (kind) => {
      const disk = killed();
      const io = disk.createStorageIo();
      io.close(io.open('/log/next.seg', { create: true }));
      disk.failWhen((operation) =>
        operation.kind === kind && operation.path.includes('wal-') && io.list('/log').includes('next.seg')
          ? 'ENOSPC'
          : undefined,
      );
      const wal = SegmentedWal.openSync({
        directory: '/log',
        io,
        blockBytes: 512,
        segmentBytes: 2048,
        ...new TestEnvironment(2).options,
      });
      expect(lsns(wal)).toEqual(TWENTY);
      expect(wal.append('x')).toBe(21);
      wal.syncSync();
      disk.failWhen(undefined);
      expect(lsns(open(disk.crash(), 3))).toEqual([...TWENTY, 21]);
    },
  );

  test('when there is no room for the checkpoint, the preallocated file is removed once the names are durable', () => {
    const disk = new SimulatedDisk();
    const first = open(disk, 1);
    for (let lsn = 1; lsn <= 5; lsn++) first.append(new Uint8Array(100));
    first.syncSync();
    first.checkpointSync(3);
    disk.kill();
    const io = disk.createStorageIo();
    io.close(io.open('/log/next.seg', { create: true }));
    const done: string[] = [];
    disk.failWhen(({ kind, path }) => {
      const isFull = path.endsWith('checkpoint.new') && kind === 'write' && io.list('/log').includes('next.seg');
      if (isFull) done.push('no room');
      else if (kind === 'sync-directory' || (kind === 'remove' && path.endsWith('.seg'))) done.push(kind);
      return isFull ? 'ENOSPC' : undefined;
    });
    const wal = SegmentedWal.openSync({ directory: '/log', io, blockBytes: 512, ...new TestEnvironment(2).options });
    expect(wal.checkpointLsn).toBe(3);
    expect(done.slice(0, 3)).toEqual(['no room', 'sync-directory', 'remove']);
  });

  test('opening it again and again changes nothing that was there', () => {
    const disk = killed();
    fill(disk);
    for (let life = 2; life < 6; life++) expect(lsns(open(disk, life))).toEqual(TWENTY);
    expect(lsns(open(disk.crash(), 6))).toEqual(TWENTY);
  });

  test('a record that finds no room until the log is closed is not in it, and nothing acknowledged is lost', () => {
    const disk = killed();
    const wal = open(disk, 2);
    fill(disk);
    wal.append(new Uint8Array(100));
    expect(() => wal.syncSync()).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(wal.failure).toBeUndefined();
    expect(lsns(wal)).toEqual(TWENTY);
    wal.closeSync();
    expect(wal.failure).toMatchObject({ code: 'WAL_NO_SPACE', systemCode: 'ENOSPC' });
    expect(lsns(open(disk, 3))).toEqual(TWENTY);
    empty(disk);
    const again = open(disk, 4);
    expect(again.append('x')).toBe(21);
    again.syncSync();
    expect(lsns(again)).toEqual([...TWENTY, 21]);
  });

  test('a truncation that has no room for its note changes nothing, and is no failure', () => {
    const disk = killed();
    const wal = open(disk, 2);
    fill(disk);
    expect(() => wal.truncateBeforeSync(15)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(wal.failure).toBeUndefined();
    expect(lsns(wal)).toEqual(TWENTY);
    empty(disk);
    expect(wal.truncateBeforeSync(15).segmentsDeleted).toBeGreaterThan(0);
    expect(wal.firstLsn).toBeGreaterThan(1);
  });

  test.each([
    ['truncateAfter', (wal: SegmentedWal) => wal.truncateAfterSync(7)],
    ['resetTo', (wal: SegmentedWal) => wal.resetToSync(50)],
    ['checkpoint', (wal: SegmentedWal) => wal.checkpointSync(7)],
    ['hold', (wal: SegmentedWal) => wal.holdSync('reader', 7)],
  ])('a %s that has no room changes nothing, is no failure, and works when there is room', (_name, call) => {
    const disk = killed();
    const wal = open(disk, 2);
    fill(disk);
    expect(() => call(wal)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect([wal.failure, wal.nextLsn, wal.checkpointLsn, wal.holds]).toEqual([undefined, 21, 0, {}]);
    expect(lsns(wal)).toEqual(TWENTY);
    empty(disk);
    expect(wal.append('x')).toBe(21);
    call(wal);
    wal.syncSync();
    const after = [wal.firstLsn, wal.nextLsn, wal.checkpointLsn, wal.holds];
    const again = open(disk.crash(), 3);
    expect([again.firstLsn, again.nextLsn, again.checkpointLsn, again.holds]).toEqual(after);
  });

  describe.each([
    ['one operation', (at: number, count: number) => at === count],
    ['every operation from one on', (at: number, count: number) => count >= at && count < at + 1000],
  ])('where there is no room for %s', (_what, fails) => {
    test.each([
      ['truncateAfter', (wal: SegmentedWal) => wal.truncateAfterSync(7)],
      ['truncateAfter to the beginning', (wal: SegmentedWal) => wal.truncateAfterSync(wal.firstLsn - 1)],
      ['resetTo', (wal: SegmentedWal) => wal.resetToSync(5)],
      ['resetTo further on', (wal: SegmentedWal) => wal.resetToSync(50)],
    ])('a %s is done, or fails the log for good, or has changed nothing', (_name, call) => {
      const outcomes = new Set<string>();
      for (let at = 1; at < 40; at++) {
        const disk = killed();
        const wal = open(disk, 2);
        wal.checkpointSync(15);
        wal.holdSync('behind', 3);
        wal.holdSync('ahead', 18);
        const state = (log: SegmentedWal) => [log.nextLsn, log.checkpointLsn, log.holds, lsns(log)];
        const before = state(wal);
        let count = 0;
        disk.failWhen(({ kind }) => (needsRoom.has(kind) && fails(at, ++count) ? 'ENOSPC' : undefined));
        let thrown: unknown;
        try {
          call(wal);
        } catch (error) {
          thrown = error;
        }
        disk.failWhen(undefined);
        const done = wal.nextLsn !== before[0];
        for (const hold of Object.values(wal.holds)) expect(hold).toBeGreaterThanOrEqual(wal.firstLsn);
        if (wal.failure !== undefined) {
          outcomes.add('failed');
          continue;
        }
        outcomes.add(done ? 'done' : 'refused');
        if (done) expect(thrown).toBeUndefined();
        else {
          expect(thrown).toMatchObject({ code: 'WAL_NO_SPACE' });
          expect(state(wal)).toEqual(before);
        }
        const now = state(wal);
        expect(state(open(disk.crash(), 3))).toEqual(now);
        if (!done && count < at) break;
      }
      expect([...outcomes].sort()).toEqual(['done', 'failed', 'refused']);
    });
  });

  test.each([
    ['truncateAfter', (wal: SegmentedWal) => wal.truncateAfterSync(7)],
    ['resetTo', (wal: SegmentedWal) => wal.resetToSync(5)],
  ])('a %s without room for its segment leaves the checkpoint alone, which may be written', (_name, call) => {
    const disk = killed();
    const wal = open(disk, 2);
    wal.checkpointSync(15);
    wal.holdSync('ahead', 18);
    let asked = 0;
    disk.failWhen(({ kind, path }) => {
      const isOfCheckpoint = path.includes('checkpoint');
      if (isOfCheckpoint) asked++;
      return kind === 'write' && !isOfCheckpoint ? 'ENOSPC' : undefined;
    });
    expect(() => call(wal)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    disk.failWhen(undefined);
    // A power cut in between would leave it lowered.
    expect(asked).toBe(0);
    expect([wal.failure, wal.nextLsn, wal.checkpointLsn, wal.holds]).toEqual([undefined, 21, 15, { ahead: 18 }]);
    call(wal);
    expect(open(disk.crash(), 3).nextLsn).toBe(wal.nextLsn);
  });

  test('a hold is never below the log, also when a crash comes before anything else', () => {
    for (const lsn of [5, 50]) {
      const disk = killed();
      const wal = open(disk, 2);
      wal.holdSync('reader', 7);
      wal.resetToSync(lsn);
      expect([wal.firstLsn, wal.holds]).toEqual([lsn, { reader: lsn }]);
      const again = open(disk.crash(), 3);
      expect([again.firstLsn, again.holds]).toEqual([lsn, { reader: lsn }]);
    }
    const disk = killed();
    const wal = open(disk, 2);
    wal.truncateBeforeSync(20);
    const { firstLsn } = wal;
    wal.holdSync('reader', firstLsn + 1);
    wal.truncateAfterSync(firstLsn - 1);
    expect([wal.nextLsn, wal.holds]).toEqual([firstLsn, { reader: firstLsn }]);
    const again = open(disk.crash(), 3);
    expect([again.nextLsn, again.holds]).toEqual([firstLsn, { reader: firstLsn }]);
  });

  test('a log for whose segment there was no room is cut, and goes on in the segment that the cut makes', () => {
    const disk = killed();
    fill(disk);
    const wal = open(disk, 2);
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    empty(disk);
    wal.truncateAfterSync(7);
    expect(wal.append('x')).toBe(8);
    wal.syncSync();
    expect(lsns(open(disk.crash(), 3))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test('a checkpoint whose name may be lost is a failure for good, though the disk says that it is full', () => {
    const disk = killed();
    const wal = open(disk, 2);
    disk.failWhen(({ kind }) => (kind === 'sync-directory' ? 'ENOSPC' : undefined));
    expect(() => wal.checkpointSync(7)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    disk.failWhen(undefined);
    expect(wal.failure).toMatchObject({ code: 'WAL_NO_SPACE' });
    // A later sync that succeeds would prove nothing.
    expect(() => wal.checkpointSync(8)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(wal.checkpointLsn).toBe(0);
  });
});

describe.each([
  ['blocking', {}],
  ['side by side', { completesInline: false, durableWrites: true, overlappedWrites: true }],
])('no room for the name of the next segment, on a %s backend', (_name, options) => {
  const ring = () =>
    KeyRing.of({ id: 1, key: new Uint8Array(32).fill(1) }, [{ id: 2, key: new Uint8Array(32).fill(2) }]);
  const config = { directory: '/log', blockBytes: 512, segmentBytes: 4096, preallocate: 'write' } as const;

  test.each([
    ['truncateBefore', (wal: SegmentedWal) => wal.truncateBefore(wal.nextLsn), []],
    ['rotateKey', (wal: SegmentedWal) => wal.rotateKey(2), [1]],
  ])('%s changes nothing, and the log goes on', async (_call, call, kept) => {
    const disk = new SimulatedDisk();
    const keyRing = ring();
    const io = disk.createStorageIo(options);
    const wal = await SegmentedWal.open({ ...config, io, keyRing, ...new TestEnvironment(1).options });
    wal.append('one');
    await wal.sync();
    const full = (): void => disk.failWhen(({ kind }) => (kind === 'rename' ? 'ENOSPC' : undefined));
    full();
    await expect(call(wal)).rejects.toMatchObject({ code: 'WAL_NO_SPACE' });
    expect(wal.failure).toBeUndefined();
    disk.failWhen(undefined);
    await call(wal);
    wal.append('two');
    await wal.sync();
    full();
    await expect(call(wal)).rejects.toMatchObject({ code: 'WAL_NO_SPACE' });
    wal.append('three');
    await wal.sync();
    const left = disk.crash().createStorageIo();
    const again = SegmentedWal.openSync({ ...config, io: left, keyRing: ring(), ...new TestEnvironment(2).options });
    expect(lsns(again)).toEqual([...kept, 2, 3]);
  });
});

// As on file systems that write anew what is cut.
describe.each([
  ['blocking', {}],
  ['side by side', { completesInline: false, durableWrites: true, overlappedWrites: true }],
])('no room for cutting a preallocated segment to its size, on a %s backend', (_name, options) => {
  const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
  const ring = () => KeyRing.of({ id: 1, key: key(1) }, [{ id: 2, key: key(2) }]);
  const config = { directory: '/log', blockBytes: 512, segmentBytes: 65_536, preallocate: 'write' } as const;

  describe.each(['truncate', 'datasync'] as const)('%s', (failing) => {
    test.each<[string, (wal: SegmentedWal) => unknown, readonly number[]]>([
      ['truncateBefore', (wal) => wal.truncateBefore(wal.nextLsn), [3]],
      ['rotateKey', (wal) => wal.rotateKey(2), [1, 2, 3]],
      ['truncateAfter', (wal) => wal.truncateAfter(1), [1, 2]],
      ['a roll', (wal) => Array.from({ length: 40 }, () => wal.append(new Uint8Array(2000))) && wal.sync(), []],
    ])('%s is done, and the log goes on', async (name, call, kept) => {
      const disk = new SimulatedDisk();
      const io = disk.createStorageIo(options);
      const opened = { ...config, io, keyRing: ring(), ...new TestEnvironment(1).options };
      const wal = await SegmentedWal.open(opened);
      for (const payload of ['one', 'two']) {
        wal.append(payload);
        await wal.sync();
      }
      let refused = 0;
      let isCut = false;
      disk.failWhen(({ kind }) => {
        isCut ||= kind === 'truncate';
        if (kind !== failing || !isCut) return undefined;
        isCut = false;
        refused++;
        return 'ENOSPC';
      });
      await call(wal);
      expect([refused > 0, wal.failure]).toEqual([true, undefined]);
      wal.append('three');
      await wal.sync();
      await wal.close();
      expect(wal.failure).toBeUndefined();
      disk.failWhen(undefined);
      const found = kept.length > 0 ? kept : Array.from({ length: 43 }, (_, index) => index + 1);
      for (const isPowerCut of [false, true]) {
        const left = isPowerCut ? disk.crash() : disk;
        const again = SegmentedWal.openSync({ ...opened, io: left.createStorageIo(), keyRing: ring() });
        expect([name, ...lsns(again)]).toEqual([name, ...found]);
        again.closeSync();
      }
    });
  });
});
