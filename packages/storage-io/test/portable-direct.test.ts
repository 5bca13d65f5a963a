import { fromAsyncFileOps, fromSyncFileOps, PortableWalWriter, readFrames, type StorageIo } from '@walstack/storage-io';
import { describe, expect, it } from 'vitest';
import { withDirect } from './direct-ops.js';
import {
  contentOf,
  direct,
  directAlignmentOf,
  failure,
  fresh,
  makeFile,
  names,
  submissionsOf,
  textsOf,
} from './portable-support.js';
import { inATurn, TinyFiles, tinyAsyncOps, tinySyncOps } from './tiny-ops.js';

/** A backend with direct I/O, and the path of a file that is not there yet. */
interface Subject {
  readonly io: StorageIo;
  readonly path: string;
  /** What direct I/O of that file wants. */
  readonly unit: number;
}

const byHand: Readonly<Record<string, () => StorageIo>> = {
  'by hand, synchronous': () => {
    const files = new TinyFiles();
    return fromSyncFileOps(withDirect({ ...tinySyncOps(files), writeDurable: files.write.bind(files) }));
  },
  'by hand, calling back': () => {
    const ops = tinyAsyncOps(new TinyFiles(), inATurn);
    return fromAsyncFileOps(withDirect({ ...ops, writeDurable: ops.write }));
  },
};

const subjects: readonly [string, () => Omit<Subject, 'unit'>][] = [
  ...Object.entries(byHand).map(([name, make]): [string, () => Omit<Subject, 'unit'>] => [
    name,
    () => ({ io: make(), path: 'd/file' }),
  ]),
  // Where the temporary directory's file system, and the backend, have it.
  ...direct.map((name): [string, () => Omit<Subject, 'unit'>] => [name, () => fresh(name)]),
];

describe.each(subjects)('PortableWalWriter with direct I/O, %s', (_, make) => {
  const test = (title: string, body: (subject: Subject) => Promise<void>): void =>
    it(title, async () => {
      const { io, path } = make();
      await body({ io, path, unit: directAlignmentOf(io, `${path}-probe`) });
    });

  test('accepts only multiples of the alignment, and refuses others before anything is submitted', async (subject) => {
    const { io, path, unit } = subject;
    const writer = await PortableWalWriter.open(path, { io, direct: true });
    expect(writer.direct).toBe(true);
    const submissions = submissionsOf(writer);
    const misaligned = failure('WAL_ALIGNMENT', { limit: unit });
    await expect(writer.append(Buffer.alloc(unit - 1))).rejects.toThrow(misaligned);
    await expect(writer.append('text')).rejects.toThrow(misaligned);
    await expect(writer.appendBatched(Buffer.alloc(unit + 1))).rejects.toThrow(misaligned);
    await expect(writer.appendWithChecksum(Buffer.alloc(unit))).rejects.toThrow(misaligned);
    expect([submissions(), writer.hasPendingBatch, writer.size]).toEqual([0, false, 0]);
    expect(await writer.append(Buffer.alloc(unit, 'a'))).toBe(0);
    expect(await writer.appendWithChecksum(Buffer.alloc(unit - 8, 'b'))).toBe(unit);
    expect(await writer.appendBatched(Buffer.alloc(2 * unit, 'c'))).toBe(2 * unit);
    await writer.close();
    const content = await contentOf(io, path);
    expect(content.length).toBe(4 * unit);
    expect(content.toString('latin1', 0, unit)).toBe('a'.repeat(unit));
    expect(content.toString('latin1', unit + 8)).toBe('b'.repeat(unit - 8) + 'c'.repeat(2 * unit));
  });

  test('does not go on at an end that is not aligned', async ({ io, path, unit }) => {
    await makeFile(io, path, Buffer.alloc(100));
    const misaligned = failure('WAL_ALIGNMENT', { limit: unit, actual: 100 });
    await expect(PortableWalWriter.open(path, { io, direct: true })).rejects.toThrow(misaligned);
    const buffered = await PortableWalWriter.open(path, { io });
    expect(buffered.direct).toBe(false);
    expect(await buffered.append('x')).toBe(100);
    await buffered.close();
  });

  test('flushBatch is one durable write, or a write and a sync where there is none', async ({ io, path, unit }) => {
    const writer = await PortableWalWriter.open(path, { io, direct: true });
    const submissions = submissionsOf(writer);
    const { syncs } = io.stats();
    for (let index = 0; index < 3; index++) await writer.appendBatched(Buffer.alloc(unit));
    await writer.flushBatch();
    await writer.flushBatch();
    await writer.sync();
    expect([submissions(), io.stats().syncs - syncs]).toEqual([io.capabilities.durableWrites ? 1 : 2, 1]);
    await writer.close();
    expect(io.stats().syncs - syncs).toBe(1);
  });

  test('a batch behind an append that is not durable is made durable with it', async ({ io, path, unit }) => {
    const writer = await PortableWalWriter.open(path, { io, direct: true });
    await writer.append(Buffer.alloc(unit));
    await writer.appendBatched(Buffer.alloc(unit));
    const submissions = submissionsOf(writer);
    await writer.flushBatch();
    expect(submissions()).toBe(2);
    await writer.close();
  });

  test('a file of frames is padded with zeros, block by block', async ({ io, path, unit }) => {
    const blockBytes = 2 * unit;
    const options = { io, direct: true, framed: true, blockBytes };
    const writer = await PortableWalWriter.open(path, options);
    expect(await writer.appendWithChecksum('one')).toBe(0);
    expect(await writer.appendWithChecksum('two')).toBe(blockBytes);
    expect(await writer.appendWithChecksumBatched(Buffer.alloc(3 * unit, 'x'))).toBe(3 * unit + 8);
    expect(await writer.appendWithChecksumBatched('four')).toBe(3 * unit + 20);
    await writer.flushBatch();
    expect(writer.size).toBe(4 * blockBytes);
    await writer.close();
    expect(await textsOf(path, { io, blockBytes })).toEqual(['one', 'two', 'x'.repeat(3 * unit), 'four']);
    const again = await PortableWalWriter.open(path, options);
    expect(again.recovery).toEqual({ frames: 4, bytesCut: 0 });
    expect(await again.appendWithChecksum('five')).toBe(4 * blockBytes);
    await again.close();
  });

  test('a file of frames that was written without it can be continued with it, and vice versa', async ({
    io,
    path,
    unit,
  }) => {
    const blockBytes = 2 * unit;
    const expected: string[] = [];
    for (const asked of [false, true, false, true, true, false, false]) {
      const writer = await PortableWalWriter.open(path, { io, direct: asked, framed: true, blockBytes });
      expect(writer.recovery).toEqual({ frames: expected.length, bytesCut: 0 });
      expected.push(`direct: ${asked}, ${expected.length}`);
      await writer.appendWithChecksum(expected.at(-1) as string);
      expect(writer.size % blockBytes === 0).toBe(asked);
      await writer.close();
    }
    expect(await textsOf(path, { io, blockBytes })).toEqual(expected);
  });

  test('a torn tail in a block with frames is cut, and the block is filled up', async ({ io, path, unit }) => {
    const blockBytes = 2 * unit;
    const options = { io, direct: true, framed: true, blockBytes };
    const writer = await PortableWalWriter.open(path, options);
    void writer.appendWithChecksumBatched('kept');
    void writer.appendWithChecksumBatched(Buffer.alloc(blockBytes - 100, 'torn'));
    await writer.close();
    const content = await contentOf(io, path);
    expect(content.length).toBe(blockBytes);
    content.fill(0, unit);
    await makeFile(io, path, content);
    const again = await PortableWalWriter.open(path, options);
    expect(again.recovery).toEqual({ frames: 1, bytesCut: blockBytes - 12 });
    const padding = Buffer.alloc(blockBytes - 12);
    padding.writeUInt32LE(0x8000_0000);
    expect((await contentOf(io, path)).subarray(12)).toEqual(padding);
    expect(await again.appendWithChecksum('next')).toBe(blockBytes);
    await again.close();
    expect(await textsOf(path, { io, blockBytes })).toEqual(['kept', 'next']);
  });
});

describe('direct I/O', () => {
  it('wants blocks that are multiples of its alignment in a file of frames', async () => {
    const path = 'd/file';
    const io = fromSyncFileOps({
      ...tinySyncOps(new TinyFiles()),
      directAlignment: () => 4096,
      allocateBuffer: (bytes) => new Uint8Array(bytes),
    });
    const misaligned = failure('WAL_ALIGNMENT', { limit: 4096, actual: 1024 });
    const open = PortableWalWriter.open(path, { io, direct: true, framed: true, blockBytes: 1024 });
    await expect(open).rejects.toThrow(misaligned);
    const writer = await PortableWalWriter.open(path, { io, direct: true, framed: true });
    await writer.appendWithChecksum('one');
    expect(writer.size).toBe(4096);
    await writer.close();
    expect([...readFrames(path, { io })]).toHaveLength(1);
  });

  it.each(names)('is requested on %s, and not used where it is refused', async (name) => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io, direct: true, framed: true });
    expect(writer.direct).toBe(io.stats().directRefused === 0);
    await writer.appendWithChecksum('one');
    expect(writer.size).toBe(writer.direct ? 4096 : 11);
    await writer.close();
    expect(await textsOf(path, { io })).toEqual(['one']);
  });
});
