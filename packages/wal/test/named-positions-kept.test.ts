import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { createSyncFsStorageIo, ioSteps, runSync, type StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { commit, small, take } from './support/named-logs.js';

/** What becomes of a stored position when the power fails, when its follower goes back, and where there is no room at all. */

const DIRECTORY = '/log';
const SLOT_BYTES = 4096;

/** A log of 60 events, and the position of a follower that has acknowledged so many. */
async function followed(directory: string, acknowledged: number): Promise<void> {
  const wal = await Wal.open(directory, small);
  await commit(wal, 60);
  const follower = Wal.follow(directory, 'stored', { name: 'a' });
  await take(follower, acknowledged);
  await follower.acknowledge();
  await follower.return();
  await wal.shutdown();
}

describe('when the power fails before the second slot of a position is durable', () => {
  /** The log relies on a position of which one slot is durable, and is truncated. */
  async function halfDurable(how: 'EIO' | 'killed') {
    const disk = new SimulatedDisk();
    const wal = await Wal.open(DIRECTORY, { ...small, io: disk.createStorageIo(), reserveBytes: 0 });
    await commit(wal, 60);
    const follower = Wal.follow(DIRECTORY, 'stored', { name: 'a', io: disk.createStorageIo() });
    await take(follower, 10);
    await follower.acknowledge();
    await take(follower, 40);
    let syncs = 0;
    disk.failWhen(({ kind, path }) =>
      kind === 'datasync' && path.endsWith('a.follower') && ++syncs === 2 ? how : undefined,
    );
    follower.acknowledge().catch(() => {});
    while ((await wal.followers())[0]?.lsn !== 51) await turns();
    disk.failWhen(undefined);
    await wal.truncateBefore(51);
    expect(wal.firstLsn).toBeGreaterThan(40);
    return disk.crash('none').createStorageIo({ completesInline: false });
  }

  test.each(['EIO', 'killed'] as const)(
    'the follower goes on with the one that is, as what the other one needs is gone from the log (%s)',
    async (how) => {
      const io = await halfDurable(how);
      const wal = await Wal.open(DIRECTORY, { ...small, io });
      for (let opening = 0; opening < 2; opening++) {
        const again = Wal.follow(DIRECTORY, 'stored', { name: 'a', io, onTruncated: 'skip' });
        expect(await take(again)).toBe(51);
        expect(again.skipped).toEqual([]);
        await again.return();
      }
      expect(await wal.truncateBefore(60)).toMatchObject({ keptFor: [{ lsn: 51 }] });
      await wal.shutdown();
    },
  );

  test('a start elsewhere that fails does not write over the one that is', async () => {
    const io = await halfDurable('killed');
    const wal = await Wal.open(DIRECTORY, { ...small, io });
    const back = Wal.follow(DIRECTORY, 3, { name: 'a', io });
    expect(await rejection(take(back))).toMatchObject({ code: 'WAL_TRUNCATED', lsn: 3 });
    const again = Wal.follow(DIRECTORY, 'stored', { name: 'a', io });
    expect(await take(again)).toBe(51);
    await again.return();
    await wal.shutdown();
  });
});

test('an expired follower does not go on with what a killed one has begun with and never found', async () => {
  const time = new ManualTime();
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo({ completesInline: false });
  const wal = await Wal.open(DIRECTORY, { ...small, ...time.options, io, followerExpiryMs: 60_000 });
  await commit(wal, 60);
  const first = Wal.follow(DIRECTORY, 'stored', { name: 'a', io, ...time.options });
  await take(first, 10);
  await first.acknowledge();
  await first.return();
  const killed = disk.createStorageIo();
  let isNamed = false;
  disk.failWhen(({ kind, path }) => {
    if (kind === 'write' && path.endsWith('.follower')) isNamed = true;
    return isNamed && path.endsWith('.follower') ? 'killed' : undefined;
  });
  take(Wal.follow(DIRECTORY, 51, { name: 'a', io: killed, ...time.options })).catch(() => {});
  while (!isNamed) await turns();
  disk.failWhen(undefined);
  time.time += 120_000;
  await wal.truncateBefore(40);
  expect(wal.firstLsn).toBeGreaterThan(11);
  const again = Wal.follow(DIRECTORY, 'stored', { name: 'a', io, ...time.options });
  expect(await rejection(take(again))).toMatchObject({ code: 'WAL_TRUNCATED', lsn: 11 });
  await wal.shutdown();
});

/** A backend that has a call in front of the first write of a slot in place. */
function withBefore(write: (path: string, bytes: Uint8Array, offset: number) => void): StorageIo {
  const io = createSyncFsStorageIo();
  const paths = new Map<unknown, string>();
  let isOver = false;
  return new Proxy(io, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...given: unknown[]) => {
        const path = name === 'submitWrite' ? paths.get(given[0]) : undefined;
        if (!isOver && path?.endsWith('a.follower') === true) {
          isOver = true;
          write(path, given[1] as Uint8Array, given[2] as number);
        }
        const result = Reflect.apply(value, target, given) as unknown;
        if (name === 'open') paths.set(result, given[0] as string);
        return result;
      };
    },
  });
}

describe('a follower that goes back', () => {
  /** A log of 60 events whose writer blocks, and a stored position of 51. */
  async function before() {
    const directory = `${temporaryDirectory()}/log`;
    await followed(directory, 50);
    return {
      directory,
      wal: await SegmentedWal.open({ directory, segmentBytes: 4096, blockBytes: 512, io: 'sync-fs' }),
    };
  }

  test('is not overtaken while its first position is half written', async () => {
    const { directory, wal } = await before();
    const io = withBefore((path, bytes, offset) => {
      const fd = openSync(path, 'r+');
      writeSync(fd, bytes, 0, 40, offset);
      closeSync(fd);
      wal.truncateBeforeSync(40);
    });
    const follower = Wal.follow(directory, 5, { name: 'a', io });
    expect(await take(follower)).toBe(5);
    expect(await take(follower, 50)).toBe(55);
    await follower.return();
    await wal.close();
  });

  test('is not overtaken when a slot is met while it is being written: it is read again', async () => {
    const { directory, wal } = await before();
    const writer = createSyncFsStorageIo();
    let torn = 0;
    const tearing = new Proxy(writer, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        if (name !== 'submitRead') return value.bind(target);
        return (file: unknown, into: Uint8Array, offset: number) => {
          const token = Reflect.apply(value, target, [file, into, offset]) as unknown;
          if (into.length === 2 * SLOT_BYTES + 1 || into.length === 2 * SLOT_BYTES) {
            if (torn++ < 2) into.fill(0, SLOT_BYTES + 20);
          }
          return token;
        };
      },
    });
    await wal.close();
    const reading = await SegmentedWal.open({ directory, segmentBytes: 4096, blockBytes: 512, io: tearing });
    const follower = Wal.follow(directory, 5, {
      name: 'a',
      io: withBefore(() => {
        torn = 0;
        reading.truncateBeforeSync(40);
      }),
    });
    expect(await take(follower)).toBe(5);
    expect(torn).toBeGreaterThan(2);
    expect(reading.firstLsn).toBeLessThanOrEqual(5);
    await follower.return();
    await reading.close();
  });
});

test('the position that is put back is not written over itself: it stays when that fails', async () => {
  const directory = `${temporaryDirectory()}/log`;
  await followed(directory, 50);
  const wal = await Wal.open(directory, small);
  await wal.truncateBefore(40);
  expect(wal.firstLsn).toBeGreaterThan(3);
  const io = withBefore((path, bytes, offset) => {
    const fd = openSync(path, 'r+');
    // The rest of it is as it was in that slot.
    writeSync(fd, bytes, 0, 10, offset);
    closeSync(fd);
    throw new WalError('WAL_IO_FAILED', 'the disk has failed', { path, systemCode: 'EIO' });
  });
  expect(await rejection(take(Wal.follow(directory, 3, { name: 'a', io })))).toMatchObject({ code: 'WAL_TRUNCATED' });
  const again = Wal.follow(directory, 'stored', { name: 'a' });
  expect(await take(again)).toBe(51);
  await again.return();
  await wal.shutdown();
});

describe('on a full disk, where something else has taken the room of the spare file', () => {
  /** A log of 60 events, and a follower that has acknowledged so many and was ended. */
  async function full(acknowledged: number) {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo({ completesInline: false });
    const wal = await Wal.open(DIRECTORY, { ...small, io, preallocate: 'none', markAfterMs: 0 });
    await commit(wal, 60);
    const follower = Wal.follow(DIRECTORY, 'stored', { name: 'a', io });
    await take(follower, acknowledged);
    await follower.acknowledge();
    await follower.return();
    const takeRoom = (): void => {
      const spare = join(DIRECTORY, 'followers', 'a.follower.spare');
      if (io.list(join(DIRECTORY, 'followers')).includes('a.follower.spare')) runSync(io, ioSteps.remove(io, spare));
      disk.capacityBytes = disk.usedBytes;
    };
    return { disk, io, wal, takeRoom };
  }

  test('a follower is opened again and again, and acknowledges, in the file that is there', async () => {
    const { disk, io, wal, takeRoom } = await full(1);
    for (let opening = 0; opening < 8; opening++) {
      takeRoom();
      const follower = Wal.follow(DIRECTORY, 'stored', { name: 'a', io });
      expect(await take(follower)).toBe(2 + opening * 5);
      await take(follower, 4);
      await follower.acknowledge();
      await follower.return();
      expect(await wal.followers()).toMatchObject([{ state: 'holding', lsn: 7 + opening * 5 }]);
    }
    disk.capacityBytes += 8192;
    expect(await wal.truncateBefore(60)).toMatchObject({ keptFor: [{ lsn: 42 }] });
    expect(wal.firstLsn).toBeGreaterThan(30);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await wal.shutdown();
  });

  test.each([3, 'first', 51] as const)(
    'what is stored stays until one that begins at %j has found its first event',
    async (from) => {
      const { disk, io, wal, takeRoom } = await full(30);
      takeRoom();
      let writes = 0;
      const killed = disk.createStorageIo();
      // It is killed when it has stored where it begins, and before it has found that.
      disk.failWhen(({ kind, path }) =>
        kind === 'write' && path.endsWith('a.follower') && ++writes === 2 ? 'killed' : undefined,
      );
      let isRefused = false;
      take(Wal.follow(DIRECTORY, from, { name: 'a', io: killed })).catch(() => {
        isRefused = true;
      });
      while (writes < 2 && !isRefused) await turns();
      disk.failWhen(undefined);
      takeRoom();
      expect(await wal.followers()).toMatchObject([{ lsn: from === 'first' ? undefined : Math.min(from, 31) }]);
      const stored = Wal.follow(DIRECTORY, 'stored', { name: 'a', io });
      expect(await take(stored)).toBe(31);
      await stored.return();
      takeRoom();
      const again = Wal.follow(DIRECTORY, from, { name: 'a', io });
      const first = from === 'first' ? 1 : from;
      expect(await take(again)).toBe(first);
      await again.return();
      expect(await wal.followers()).toMatchObject([{ lsn: first }]);
      disk.capacityBytes = Number.POSITIVE_INFINITY;
      await wal.shutdown();
    },
  );

  test('what a killed process has not made durable is not lost when the next one writes into its file', async () => {
    const { disk, io, wal, takeRoom } = await full(10);
    const killed = disk.createStorageIo();
    const follower = Wal.follow(DIRECTORY, 'stored', { name: 'a', io: killed });
    await take(follower, 10);
    let syncs = 0;
    disk.failWhen(({ kind, path }) =>
      kind === 'datasync' && path.endsWith('a.follower') && ++syncs === 2 ? 'killed' : undefined,
    );
    follower.acknowledge().catch(() => {});
    while ((await wal.followers())[0]?.lsn !== 21) await turns();
    disk.failWhen(undefined);
    takeRoom();
    const second = disk.createStorageIo();
    let writes = 0;
    disk.failWhen(({ kind, path }) =>
      kind === 'write' && path.endsWith('a.follower') && ++writes === 1 ? 'killed' : undefined,
    );
    let isRefused = false;
    take(Wal.follow(DIRECTORY, 'stored', { name: 'a', io: second })).catch(() => {
      isRefused = true;
    });
    while (writes === 0 && !isRefused) await turns();
    expect(writes).toBe(1);
    disk.failWhen(undefined);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    expect(await wal.truncateBefore(60)).toMatchObject({ keptFor: [{ lsn: 21 }] });
    const after = disk.crash('none').createStorageIo({ completesInline: false });
    const again = Wal.follow(DIRECTORY, 'stored', { name: 'a', io: after });
    expect(await take(again)).toBe(21);
    await again.return();
    await io.dispose();
  });
});

test('a follower that had read a newest segment whose header was lost begins behind the hole, from an LSN', async () => {
  const directory = `${temporaryDirectory()}/log`;
  await followed(directory, 60);
  const newest = readdirSync(directory)
    .filter((name) => name.endsWith('.seg'))
    .sort()
    .at(-1) as string;
  const bytes = readFileSync(join(directory, newest));
  bytes[20] = (bytes[20] as number) ^ 1;
  writeFileSync(join(directory, newest), bytes);
  const wal = await Wal.open(directory, { ...small, recoveryMode: 'skip-corrupt' });
  await commit(wal, 3);
  // Nothing shows whether what it has read is what is lost, or was cut off before.
  const stored = Wal.follow(directory, 'stored', { name: 'a', onHole: 'skip' });
  expect(await rejection(take(stored))).toMatchObject({ code: 'WAL_TRUNCATED', reason: 'cut-back', lsn: 1 });
  expect(await wal.truncateBefore(60)).toMatchObject({ segmentsDeleted: 0, keptFor: [{ name: 'a' }] });
  const hole = wal.recovery?.holes.at(-1);
  const again = Wal.follow(directory, (hole?.lastLsn ?? 0) + 1, { name: 'a' });
  expect(await take(again)).toBe(61);
  await again.return();
  expect(await wal.followers()).toMatchObject([{ name: 'a', lsn: 61 }]);
  await wal.shutdown();
});

test('a directory in place of the spare file does not keep a follower from beginning', async () => {
  const directory = `${temporaryDirectory()}/log`;
  await followed(directory, 10);
  const spare = join(directory, 'followers', 'a.follower.spare');
  rmSync(spare);
  mkdirSync(spare);
  writeFileSync(join(spare, 'file'), 'somebody');
  for (let opening = 0; opening < 3; opening++) {
    const follower = Wal.follow(directory, 'stored', { name: 'a' });
    expect(await take(follower)).toBe(11);
    await follower.return();
  }
  expect(readFileSync(join(spare, 'file'), 'utf8')).toBe('somebody');
});

test('the error of a position that could not be stored says to acknowledge again', async () => {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo({ completesInline: false });
  const wal = await Wal.open(DIRECTORY, { ...small, io });
  await commit(wal, 10);
  const follower = Wal.follow(DIRECTORY, 'stored', { name: 'a', io });
  await take(follower, 5);
  disk.failWhen(({ kind, path }) => (kind === 'datasync' && path.endsWith('a.follower') ? 'EIO' : undefined));
  expect(await rejection(follower.acknowledge())).toMatchObject({
    code: 'WAL_IO_FAILED',
    systemCode: 'EIO',
    lsn: 6,
    message: expect.stringMatching(/acknowledge again/) as string,
  });
  disk.failWhen(undefined);
  await follower.acknowledge();
  await follower.return();
  await wal.shutdown();
});

test('a follower whose log is closed while it takes its name is told that the log was closed', async () => {
  const directory = `${temporaryDirectory()}/log`;
  const wal = await Wal.open(directory, small);
  await commit(wal, 3);
  const next = rejection(wal.follow('first', { name: 'a' }).next());
  await wal.shutdown();
  expect(await next).toMatchObject({
    code: 'WAL_CLOSED',
    message: expect.stringContaining('the log was closed while it was followed') as string,
  });
});

test('a follower begins in the file that is there where a rename finds no room', async () => {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo({ completesInline: false });
  await followedOn(io);
  let refused = 0;
  disk.failWhen(({ kind, path }) => {
    if (kind !== 'rename' || !path.endsWith('a.follower.new')) return undefined;
    refused++;
    return 'ENOSPC';
  });
  const again = Wal.follow(DIRECTORY, 'stored', { name: 'a', io });
  expect(await take(again)).toBe(11);
  await again.acknowledge();
  await again.return();
  expect(refused).toBeGreaterThan(0);
  disk.failWhen(undefined);
  const last = Wal.follow(DIRECTORY, 'stored', { name: 'a', io });
  expect(await take(last)).toBe(12);
  await last.return();
});

/** A log of 60 events on a simulated disk, and a follower that has acknowledged ten of them. */
async function followedOn(io: StorageIo): Promise<void> {
  const wal = await Wal.open(DIRECTORY, { ...small, io });
  await commit(wal, 60);
  const first = Wal.follow(DIRECTORY, 'stored', { name: 'a', io });
  await take(first, 10);
  await first.acknowledge();
  await first.return();
  await wal.shutdown();
}
