import {
  type FileOpsOptions,
  fromAsyncFileOps,
  fromSyncFileOps,
  PortableWalWriter,
  readFrames,
  type StorageIo,
} from '@walstack/storage-io';
import { describe, expect, it } from 'vitest';
import { withDirect } from './direct-ops.js';
import { contentOf, failure, fresh, makeFile, names, submissionsOf, textsOf } from './portable-support.js';
import { inATurn, TinyFiles, tinyAsyncOps, tinySyncOps } from './tiny-ops.js';

/** Backends whose direct I/O is aligned to 512 bytes, and where they write. */
const direct: Readonly<Record<string, (files: TinyFiles, options?: FileOpsOptions) => StorageIo>> = {
  synchronous: (files) => fromSyncFileOps(withDirect({ ...tinySyncOps(files), writeDurable: files.write.bind(files) })),
  'calling back': (files) => {
    const ops = tinyAsyncOps(files, inATurn);
    return fromAsyncFileOps(withDirect({ ...ops, writeDurable: ops.write }));
  },
};

const path = 'd/file';

describe.each(Object.entries(direct))('PortableWalWriter with direct I/O, %s', (_, make) => {
  it('takes multiples of the alignment only, and refuses others before anything is submitted', async () => {
    const io = make(new TinyFiles());
    const writer = await PortableWalWriter.open(path, { io, direct: true });
    expect(writer.direct).toBe(true);
    const submissions = submissionsOf(writer);
    const misaligned = failure('WAL_ALIGNMENT', { limit: 512 });
    await expect(writer.append(Buffer.alloc(511))).rejects.toThrow(misaligned);
    await expect(writer.append('text')).rejects.toThrow(misaligned);
    await expect(writer.appendBatched(Buffer.alloc(513))).rejects.toThrow(misaligned);
    await expect(writer.appendWithChecksum(Buffer.alloc(512))).rejects.toThrow(misaligned);
    expect([submissions(), writer.hasPendingBatch, writer.size]).toEqual([0, false, 0]);
    expect(await writer.append(Buffer.alloc(512, 'a'))).toBe(0);
    expect(await writer.appendWithChecksum(Buffer.alloc(504, 'b'))).toBe(512);
    expect(await writer.appendBatched(Buffer.alloc(1024, 'c'))).toBe(1024);
    await writer.close();
    const content = await contentOf(io, path);
    expect(content.toString('latin1', 0, 1024)).toBe(
      `${'a'.repeat(512)}${content.toString('latin1', 512, 520)}${'b'.repeat(504)}`,
    );
    expect(content.toString('latin1', 1024)).toBe('c'.repeat(1024));
  });

  it('does not go on at an end that is not aligned', async () => {
    const io = make(new TinyFiles());
    await makeFile(io, path, Buffer.alloc(100));
    const misaligned = failure('WAL_ALIGNMENT', { limit: 512, actual: 100 });
    await expect(PortableWalWriter.open(path, { io, direct: true })).rejects.toThrow(misaligned);
    const buffered = await PortableWalWriter.open(path, { io });
    expect(buffered.direct).toBe(false);
    expect(await buffered.append('x')).toBe(100);
    await buffered.close();
  });

  it('flushBatch is one durable write', async () => {
    const files = new TinyFiles();
    const io = make(files);
    const writer = await PortableWalWriter.open(path, { io, direct: true });
    const submissions = submissionsOf(writer);
    const { syncs } = io.stats();
    for (let index = 0; index < 3; index++) await writer.appendBatched(Buffer.alloc(512));
    await writer.flushBatch();
    await writer.flushBatch();
    expect([submissions(), io.stats().syncs - syncs]).toEqual([1, 1]);
    expect(files.calls).not.toContain('datasync');
    await writer.close();
    expect(files.calls).not.toContain('datasync');
  });

  it('a batch behind an append that is not durable is made durable with it', async () => {
    const files = new TinyFiles();
    const io = make(files);
    const writer = await PortableWalWriter.open(path, { io, direct: true });
    await writer.append(Buffer.alloc(512));
    await writer.appendBatched(Buffer.alloc(512));
    const submissions = submissionsOf(writer);
    await writer.flushBatch();
    expect(submissions()).toBe(2);
    expect(files.calls.slice(-2)).toEqual(['write', 'datasync']);
    await writer.close();
  });

  it('a file of frames is padded with zeros, block by block', async () => {
    const io = make(new TinyFiles());
    const options = { io, direct: true, framed: true, blockBytes: 1024 };
    const writer = await PortableWalWriter.open(path, options);
    expect(await writer.appendWithChecksum('one')).toBe(0);
    expect(await writer.appendWithChecksum('two')).toBe(1024);
    expect(await writer.appendWithChecksumBatched(Buffer.alloc(1500, 'x'))).toBe(1508);
    expect(await writer.appendWithChecksumBatched('four')).toBe(1520);
    await writer.flushBatch();
    expect(writer.size).toBe(2048 + 2048);
    await writer.close();
    expect(await textsOf(path, blocksOf(io))).toEqual(['one', 'two', 'x'.repeat(1500), 'four']);
    const again = await PortableWalWriter.open(path, options);
    expect(again.recovery).toEqual({ frames: 4, bytesCut: 0 });
    expect(await again.appendWithChecksum('five')).toBe(4096);
    await again.close();
  });

  it('a file of frames that was written without it is gone on with, and back', async () => {
    const io = make(new TinyFiles());
    const expected: string[] = [];
    for (const asked of [false, true, false, true, true, false, false]) {
      const writer = await PortableWalWriter.open(path, { io, direct: asked, framed: true, blockBytes: 1024 });
      expect(writer.recovery).toEqual({ frames: expected.length, bytesCut: 0 });
      expected.push(`direct: ${asked}, ${expected.length}`);
      await writer.appendWithChecksum(expected.at(-1) as string);
      expect(writer.size % 1024 === 0).toBe(asked);
      await writer.close();
    }
    expect(await textsOf(path, blocksOf(io))).toEqual(expected);
  });

  it('a torn tail in a block with frames is cut, and the block is filled up', async () => {
    const io = make(new TinyFiles());
    const options = { io, direct: true, framed: true, blockBytes: 1024 };
    const writer = await PortableWalWriter.open(path, options);
    void writer.appendWithChecksumBatched('kept');
    void writer.appendWithChecksumBatched(Buffer.alloc(900, 'torn'));
    await writer.close();
    const content = await contentOf(io, path);
    expect(content.length).toBe(1024);
    content.fill(0, 512);
    await makeFile(io, path, content);
    const again = await PortableWalWriter.open(path, options);
    expect(again.recovery).toEqual({ frames: 1, bytesCut: 1012 });
    expect((await contentOf(io, path)).subarray(12)).toEqual(Buffer.alloc(1012));
    expect(await again.appendWithChecksum('next')).toBe(1024);
    await again.close();
    expect(await textsOf(path, blocksOf(io))).toEqual(['kept', 'next']);
  });
});

const blocksOf = (io: StorageIo) => ({ io, blockBytes: 1024 });

describe('direct I/O', () => {
  it('wants blocks that are multiples of its alignment in a file of frames', async () => {
    const ops = { ...withDirect(tinySyncOps(new TinyFiles())), directAlignment: () => 4096 };
    const io = fromSyncFileOps(ops);
    const misaligned = failure('WAL_ALIGNMENT', { limit: 4096, actual: 1024 });
    const open = PortableWalWriter.open(path, { io, direct: true, framed: true, blockBytes: 1024 });
    await expect(open).rejects.toThrow(misaligned);
    const writer = await PortableWalWriter.open(path, { io, direct: true, framed: true });
    await writer.appendWithChecksum('one');
    expect(writer.size).toBe(4096);
    await writer.close();
    expect([...readFrames(path, { io })]).toHaveLength(1);
  });

  it.each(names)('is asked for on %s, and done without where it is refused', async (name) => {
    const { io, path: file } = fresh(name);
    const writer = await PortableWalWriter.open(file, { io, direct: true, framed: true });
    expect(writer.direct).toBe(io.stats().directRefused === 0);
    await writer.appendWithChecksum('one');
    expect(writer.size).toBe(writer.direct ? 4096 : 11);
    await writer.close();
    expect(await textsOf(file, { io })).toEqual(['one']);
  });
});
