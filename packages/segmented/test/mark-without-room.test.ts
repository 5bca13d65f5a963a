import { type CloseOptions, SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { SimulatedDisk, type SimulatedIoOptions } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ringOf } from '../../../harness/test-kit/keys.js';
import { TestEnvironment } from './support/environments.js';
import { empty, fill, RING } from './support/full-disks.js';

/** A mark that finds no room fails no log: of what was committed nothing is in doubt. */

/** Backends, and what options make the next mark need a block of its own. */
const KINDS: readonly (readonly [string, SimulatedIoOptions, Partial<SegmentedWalConfig>])[] = [
  ['a backend that blocks', {}, { padGroups: true }],
  ['a backend that takes its time', { completesInline: false }, { padGroups: true }],
  ['a ring', RING, { padGroups: true, preallocate: 'none' }],
  ['a ring that prepares blocks', RING, { padGroups: true }],
];

const reopened = (disk: SimulatedDisk) => SegmentedWal.openSync({ directory: '/log', io: disk.createStorageIo() });
const lsns = (wal: SegmentedWal): number[] => [...wal.replay()].map(({ lsn }) => lsn);

describe.each(KINDS)('on %s', (_name, kind, options) => {
  /** A log with one durable record, on a disk that is full now. */
  async function onFullDisk() {
    const disk = new SimulatedDisk();
    const environment = new TestEnvironment();
    const config = { directory: '/log', blockBytes: 512, segmentBytes: 8192, ...environment.options, ...options };
    const wal = await SegmentedWal.open({ ...config, io: disk.createStorageIo(kind) });
    wal.append('a');
    // There is room for the record, but not for preallocating blocks behind it.
    fill(disk, 512);
    await wal.sync();
    await turns(50);
    fill(disk);
    return { disk, environment, wal };
  }

  test('an idle log goes on when there is room again', async () => {
    const { disk, environment, wal } = await onFullDisk();
    environment.fire();
    await turns(50);
    expect(wal.failure).toBeUndefined();
    expect(wal.stats().marks).toBe(0);
    expect(wal.pendingBytes).toBe(0);
    empty(disk);
    expect(wal.append('b')).toBe(2);
    await wal.sync();
    environment.fire();
    await turns(50);
    expect(wal.stats().marks).toBe(1);
    const found = reopened(disk.crash());
    expect(lsns(found)).toEqual([1, 2]);
  });

  test('a log is closed, and opened again', async () => {
    const { disk, wal } = await onFullDisk();
    await wal.close();
    disk.kill();
    const again = reopened(disk);
    expect(again.recovery.cleanlyClosed).toBe(false);
    expect(lsns(again)).toEqual([1]);
    expect(lsns(reopened(disk.crash()))).toEqual([1]);
  });

  test('a commit that comes while room is looked for is another matter', async () => {
    const { disk, environment, wal } = await onFullDisk();
    environment.fire();
    wal.append('b');
    empty(disk);
    await wal.sync();
    expect(wal.durableLsn).toBe(2);
    expect(lsns(reopened(disk.crash()))).toEqual([1, 2]);
  });
});

test('a mark that has room in its block is written on a full disk', async () => {
  const disk = new SimulatedDisk();
  const environment = new TestEnvironment();
  const wal = SegmentedWal.openSync({
    directory: '/log',
    blockBytes: 512,
    io: disk.createStorageIo(),
    ...environment.options,
  });
  wal.append('a');
  wal.syncSync();
  fill(disk);
  environment.fire();
  await turns(50);
  expect(wal.stats().marks).toBe(1);
  wal.closeSync();
  expect(SegmentedWal.openSync({ directory: '/log', io: disk.createStorageIo() }).recovery.cleanlyClosed).toBe(true);
});

// As on file systems that write anew what is written in place.
describe.each([
  ['a backend that blocks', {}],
  ['a backend that takes its time', { completesInline: false }],
  ['a ring', RING],
] as const)('where there is no room to write a mark into its block, on %s', (_name, kind) => {
  test.each([
    ['without any', 0, false, {}],
    ['without any, and dropped', 0, false, { discard: true }],
    ['with the reserve', 8192, true, {}],
    ['with the reserve, and dropped', 8192, true, { discard: true }],
  ])('a log is closed %s, idle before or not', async (_room, reserveBytes, cleanlyClosed, how) => {
    for (const isIdle of [false, true]) await closes(reserveBytes, cleanlyClosed, how, isIdle);
  });

  async function closes(
    reserveBytes: number,
    cleanlyClosed: boolean,
    how: CloseOptions,
    isIdle: boolean,
  ): Promise<void> {
    const disk = new SimulatedDisk();
    const environment = new TestEnvironment();
    const config = {
      directory: '/log',
      blockBytes: 512,
      preallocate: 'none',
      ...new TestEnvironment().options,
    } as const;
    const wal = await SegmentedWal.open({ ...config, io: disk.createStorageIo(kind), reserveBytes });
    wal.append('a');
    await wal.sync();
    await turns(50);
    const beside = disk.createStorageIo();
    const isFull = (): boolean => reserveBytes === 0 || beside.list('/log').includes('.reserve');
    let refused = 0;
    disk.failWhen((operation) => {
      if (!/write/.test(operation.kind) || !operation.path.endsWith('.seg') || !isFull()) return undefined;
      refused++;
      return 'ENOSPC';
    });
    if (isIdle) environment.fire();
    await turns(50);
    await wal.close(how);
    disk.failWhen(undefined);
    expect([refused > 0, wal.failure, wal.durableLsn]).toEqual([true, undefined, 1]);
    for (const left of [disk.crash('all'), disk.crash()]) {
      const again = reopened(left);
      expect([again.recovery.cleanlyClosed, lsns(again)]).toEqual([cleanlyClosed, [1]]);
    }
  }
});

// As an idle mark without room refuses no record, one may be appended behind it.
describe.each([
  ['a backend that blocks', {}],
  ['a backend that takes its time', { completesInline: false }],
  ['a ring', RING],
] as const)('a log whose idle mark waits for room drops what was appended behind it, on %s', (_name, kind) => {
  test.each([
    ['without room', Number.POSITIVE_INFINITY, false],
    ['without room, which a call has reported', Number.POSITIVE_INFINITY, true],
    ['with room', 0, false],
    ['with room that comes meanwhile', 1, false],
  ])('%s', async (_room, refusals, isReported) => {
    const disk = new SimulatedDisk();
    const environment = new TestEnvironment();
    const failures: unknown[] = [];
    const config = { directory: '/log', blockBytes: 512, segmentBytes: 2048, preallocate: 'none' } as const;
    const wal = await SegmentedWal.open({
      ...config,
      ...environment.options,
      io: disk.createStorageIo(kind),
      onFailure: (failure) => failures.push(failure),
    });
    wal.append('a');
    await wal.sync();
    await turns(50);
    disk.failWhen(({ kind: operation, path }) =>
      /write/.test(operation) && path.endsWith('.seg') ? 'ENOSPC' : undefined,
    );
    environment.fire();
    await turns(50);
    // The last ones go to the next segment.
    for (let lsn = 2; lsn <= 5; lsn++) expect(wal.append(new Uint8Array(400))).toBe(lsn);
    if (isReported) await expect(wal.sync()).rejects.toMatchObject({ code: 'WAL_NO_SPACE' });
    let left = refusals;
    disk.failWhen(({ kind: operation, path }) =>
      /write/.test(operation) && path.endsWith('.seg') && left-- > 0 ? 'ENOSPC' : undefined,
    );
    await wal.close({ discard: true });
    disk.failWhen(undefined);
    expect([wal.failure, failures, wal.lastLsn]).toEqual([undefined, [], 1]);
    const isClosed = refusals < 2;
    for (const found of [disk.crash('all'), disk.crash()]) {
      const again = reopened(found);
      expect([again.recovery.cleanlyClosed, lsns(again)]).toEqual([isClosed, [1]]);
    }
  });
});

// Where blocks cannot be reserved, the mark is written at a time when there is no room.
describe.each([
  ['a backend that blocks', {}],
  ['a backend that takes its time', { completesInline: false }],
  ['a ring', RING],
] as const)('while only an idle mark waits for room, on %s', (_name, kind) => {
  const directory = '/log';

  /** A log with three durable records on a full disk, whose mark waits for room. */
  async function waiting(reserveBytes: number) {
    const disk = new SimulatedDisk();
    const environment = new TestEnvironment();
    const config = { directory, blockBytes: 512, padGroups: true, preallocate: 'none', keyRing: ringOf(1) } as const;
    const io = disk.createStorageIo(kind);
    const wal = await SegmentedWal.open({ ...config, ...environment.options, io, reserveBytes });
    for (const payload of ['a', 'b', 'c']) {
      wal.append(payload);
      await wal.sync();
    }
    await turns(50);
    fill(disk);
    disk.failWhen(({ kind: operation }) => (operation === 'allocate' ? 'EIO' : undefined));
    for (let time = 0; time < 2; time++) {
      environment.fire();
      await turns(50);
    }
    expect([wal.pendingBytes > 0, wal.durableLsn, wal.stats().waitsForSpace]).toEqual([true, 3, false]);
    return { disk, wal };
  }

  type Call = (wal: SegmentedWal) => unknown;

  test.each<[string, Call, readonly number[]]>([
    ['truncateBefore', (wal) => wal.truncateBefore(wal.nextLsn), []],
    ['truncateAfter', (wal) => wal.truncateAfter(1), [1]],
    ['resetTo', (wal) => wal.resetTo(100), []],
    ['rotateKey', (wal) => wal.rotateKey(), [1, 2, 3]],
  ])('%s takes the reserve for it', async (_call, call, left) => {
    const { disk, wal } = await waiting(8192);
    await call(wal);
    expect([wal.failure, wal.pendingBytes]).toEqual([undefined, 0]);
    expect(wal.stats().reserve.releases).toBeGreaterThan(0);
    const { nextLsn } = wal;
    const found = SegmentedWal.openSync({ directory, keyRing: ringOf(1), io: disk.crash().createStorageIo() });
    expect([found.nextLsn, lsns(found)]).toEqual([nextLsn, left]);
  });

  test('records behind it take no reserve', async () => {
    const { wal } = await waiting(8192);
    wal.append(new Uint8Array(2000));
    for (const cut of [() => wal.truncateAfter(1), () => wal.resetTo(100), () => wal.rotateKey()]) {
      await expect(cut()).rejects.toMatchObject({ code: 'WAL_NO_SPACE' });
    }
    expect([wal.stats().reserve.releases, wal.stats().waitsForSpace, wal.nextLsn]).toEqual([0, true, 5]);
  });

  test.each<[string, Call]>([
    ['sync', (wal) => wal.sync()],
    ['syncSync', (wal) => (kind === RING ? wal.sync() : wal.syncSync())],
    ['flush', (wal) => wal.flush()],
    ['truncateAfter', (wal) => wal.truncateAfter(3)],
  ])('%s has nothing to do, and does not reject', async (_call, call) => {
    const { disk, wal } = await waiting(0);
    await call(wal);
    expect([wal.durableLsn, wal.pendingBytes > 0]).toEqual([3, true]);
    // What is appended behind it does wait.
    wal.append('d');
    await expect(wal.sync()).rejects.toMatchObject({ code: 'WAL_NO_SPACE' });
    await expect(wal.flush()).rejects.toMatchObject({ code: 'WAL_NO_SPACE' });
    empty(disk);
    await wal.sync();
    expect([wal.failure, wal.durableLsn, lsns(wal)]).toEqual([undefined, 4, [1, 2, 3, 4]]);
    await wal.close();
  });

  test.each<[string, Call]>([
    ['truncateBefore', (wal) => wal.truncateBefore(wal.nextLsn)],
    ['truncateAfter', (wal) => wal.truncateAfter(1)],
    ['resetTo', (wal) => wal.resetTo(100)],
    ['rotateKey', (wal) => wal.rotateKey()],
  ])('%s that has no reserve rejects, with nothing changed', async (_call, call) => {
    const { disk, wal } = await waiting(0);
    await expect(call(wal)).rejects.toMatchObject({ code: 'WAL_NO_SPACE' });
    expect([wal.failure, wal.nextLsn, lsns(wal)]).toEqual([undefined, 4, [1, 2, 3]]);
    empty(disk);
    await call(wal);
    await wal.close();
  });

  test('a backup is made on a disk with room', async () => {
    const { disk, wal } = await waiting(0);
    empty(disk);
    disk.failWhen(({ kind: operation, path }) =>
      /write/.test(operation) && path.startsWith(directory) ? 'ENOSPC' : undefined,
    );
    await wal.backup('/backup');
    expect(wal.pendingBytes).toBeGreaterThan(0);
    disk.failWhen(undefined);
    const backup = SegmentedWal.openSync({
      directory: '/backup',
      keyRing: ringOf(1),
      io: disk.crash().createStorageIo(),
    });
    expect(lsns(backup)).toEqual([1, 2, 3]);
  });
});

describe('where blocks cannot be reserved', () => {
  /** A log with one durable record, whose next mark needs a block of its own. */
  function opened() {
    const disk = new SimulatedDisk();
    const environment = new TestEnvironment();
    const config = { directory: '/log', blockBytes: 512, padGroups: true, ...environment.options };
    const wal = SegmentedWal.openSync({ ...config, io: disk.createStorageIo() });
    wal.append('a');
    wal.syncSync();
    return { disk, environment, wal };
  }

  test('a mark is written all the same', async () => {
    const { disk, environment, wal } = opened();
    disk.failWhen(({ kind }) => (kind === 'allocate' ? 'EIO' : undefined));
    environment.fire();
    await turns(50);
    expect(wal.stats().marks).toBe(1);
    expect(wal.failure).toBeUndefined();
    wal.closeSync();
  });

  test('because the disk is broken, the log fails', async () => {
    const { disk, environment, wal } = opened();
    disk.failWhen(({ kind }) => (kind === 'allocate' ? 'broken' : undefined));
    environment.fire();
    await turns(50);
    expect(wal.failure).toMatchObject({ code: 'WAL_IO_FAILED' });
  });
});
