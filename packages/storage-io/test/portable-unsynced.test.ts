import { createMemoryStorageIo, PortableWalWriter, readFrames } from '@walstack/storage-io';
import { describe, expect, it } from 'vitest';
import { ForgetfulFile } from './forgetful-file.js';
import { contentOf, failure } from './portable-support.js';

const path = 'd/file';
const BOUND = 8192;

const block = (value: number, bytes = 512): Uint8Array => new Uint8Array(bytes).fill(value);

/** What a disk holds when nothing survives that was not synced. */
const heldBy = (disk: ForgetfulFile): number[] => {
  const { bytes } = disk.afterPowerCut(() => false);
  return Array.from({ length: Math.ceil(bytes.length / 512) }, (_, index) => bytes[index * 512] as number);
};

describe.each([false, true])('a file without frames that is opened with maxUnsyncedBytes (direct: %s)', (direct) => {
  const open = (disk: ForgetfulFile): Promise<PortableWalWriter> =>
    PortableWalWriter.open(path, { io: disk.io(direct), direct, maxUnsyncedBytes: BOUND });

  it('is durable as it is found, also after a sync that failed', async () => {
    const disk = new ForgetfulFile();
    const first = await open(disk);
    await first.append(block(1));
    await first.sync();
    await first.append(block(2));
    await first.append(block(3));
    disk.failAt = disk.operations + 1;
    await expect(first.sync()).rejects.toThrow(failure('WAL_IO_FAILED'));
    await first.close();
    const again = await open(disk);
    await again.append(block(4));
    await again.sync();
    expect(heldBy(disk)).toEqual([1, 2, 3, 4]);
    await again.close();
  });

  it('never has more that is not durable, and opening writes no more than that', async () => {
    const disk = new ForgetfulFile();
    const writer = await open(disk);
    for (let each = 1; each <= 100; each++) {
      await writer.append(block(each));
      // What is not yet durable is at the end.
      const lost = heldBy(disk).length;
      expect((each - lost) * 512).toBeLessThanOrEqual(BOUND);
    }
    await writer.close();
    const io = disk.io(direct);
    const again = await PortableWalWriter.open(path, { io, direct, maxUnsyncedBytes: BOUND });
    expect(io.stats().bytesWritten).toBe(BOUND);
    const { syncs } = io.stats();
    await again.sync();
    expect(io.stats().syncs).toBe(syncs);
    await again.close();
  });

  it('refuses a longer append', async () => {
    const writer = await open(new ForgetfulFile());
    await expect(writer.append(block(1, BOUND + 512))).rejects.toThrow(failure('WAL_TOO_LARGE'));
    expect(await writer.append(block(1, BOUND))).toBe(0);
    await writer.close();
  });
});

it('without maxUnsyncedBytes nothing is written again when a file without frames is opened', async () => {
  const io = createMemoryStorageIo();
  io.makeDirectory('d');
  const first = await PortableWalWriter.open(path, { io });
  await first.append('found');
  await first.close();
  const { bytesWritten } = io.stats();
  const again = await PortableWalWriter.open(path, { io });
  expect(io.stats().bytesWritten).toBe(bytesWritten);
  await again.append(', and added');
  await again.close();
  expect((await contentOf(io, path)).toString()).toBe('found, and added');
});

it.each(['sync', 'close'] as const)(
  'without it nothing that is found counts as durable before %s has synced it',
  async (call) => {
    const disk = new ForgetfulFile();
    const first = await PortableWalWriter.open(path, { io: disk.io() });
    await first.append(block(1));
    // Nobody has synced it, as when the first writer was killed.
    const again = await PortableWalWriter.open(path, { io: disk.io() });
    expect(heldBy(disk)).toEqual([]);
    await again[call]();
    expect(heldBy(disk)).toEqual([1]);
  },
);

describe.each([
  ['one after another', false, false],
  ['in blocks of their own', true, false],
  ['with direct I/O', false, true],
])('a file of frames %s', (_, padGroups, direct) => {
  const sizes = [10, 3000, 700, 5000, 20];

  const open = (disk: ForgetfulFile): Promise<PortableWalWriter> =>
    PortableWalWriter.open(path, {
      io: disk.io(direct),
      framed: true,
      padGroups,
      direct,
      blockBytes: 512,
      maxUnsyncedBytes: 65_536,
    });

  const framesOn = (disk: ForgetfulFile): number[] =>
    [...readFrames(path, { io: disk.io(), blockBytes: 512, maxUnsyncedBytes: 65_536 })].map(({ data }) => data.length);

  /** Two frames that are durable, and others whose sync has failed. */
  const written = async (): Promise<ForgetfulFile> => {
    const disk = new ForgetfulFile();
    const writer = await open(disk);
    for (const [index, bytes] of sizes.entries()) {
      await writer.appendWithChecksum(block(7, bytes));
      if (index === 1) await writer.sync();
    }
    if (!direct) {
      disk.failAt = disk.operations + 1;
      await expect(writer.sync()).rejects.toThrow(failure('WAL_IO_FAILED'));
    }
    await writer.close();
    return disk;
  };

  it('holds what opening it has reported, also where memory is dropped while it is read', async () => {
    for (let read = 1; ; read++) {
      const disk = await written();
      disk.evictAtRead = disk.reads + read;
      const again = await open(disk);
      const dropped = disk.reads >= disk.evictAtRead;
      const frames = again.recovery?.frames as number;
      await again.appendWithChecksum(block(7, 99));
      await again.sync();
      await again.close();
      expect(framesOn(disk.afterPowerCut(() => false))).toEqual([...sizes.slice(0, frames), 99]);
      if (!dropped) break;
    }
  });
});

it('padding is durable before anything is written behind it, whatever became of its own sync', async () => {
  const options = { framed: true, padGroups: true, blockBytes: 4096 };
  const disk = new ForgetfulFile();
  const first = await PortableWalWriter.open(path, { ...options, io: disk.io() });
  // Its padding begins with a sector.
  await first.appendWithChecksum(block(7, 512 - 8));
  disk.failAt = disk.operations + 1;
  await expect(first.sync()).rejects.toThrow(failure('WAL_IO_FAILED'));
  await first.close();
  const again = await PortableWalWriter.open(path, { ...options, io: disk.io() });
  expect(await again.appendWithChecksum(block(8, 99))).toBe(4096);
  await again.sync();
  await again.close();
  const found = [...readFrames(path, { io: disk.afterPowerCut(() => false).io() })];
  expect(found.map(({ data }) => data.length)).toEqual([504, 99]);
});
