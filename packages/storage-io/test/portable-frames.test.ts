import { encodeFrame } from '@walstack/codec';
import { createMemoryStorageIo, type Frame, PortableWalWriter, readFrames, type StorageIo } from '@walstack/storage-io';
import { describe, expect, it } from 'vitest';
import { contentOf, failure, fresh, makeFile, names, textsOf, waiting } from './portable-support.js';

/** Frames as they stand behind each other when no block ends. */
function framesOf(...texts: string[]): Buffer {
  const bytes = Buffer.alloc(texts.reduce((sum, text) => sum + 8 + text.length, 0));
  let at = 0;
  for (const text of texts) at = encodeFrame(bytes, at, Buffer.from(text));
  return bytes;
}

/** What fills a block up. */
function padding(bytes: number): Buffer {
  const filled = Buffer.alloc(bytes);
  filled.writeUInt32LE(0x8000_0000);
  return filled;
}

const lengthsOf = async (path: string, io: StorageIo, blockBytes: number): Promise<number[]> => {
  const lengths: number[] = [];
  for await (const { data } of readFrames(path, { io, blockBytes })) lengths.push(data.length);
  return lengths;
};

describe.each(names)('a file of frames on %s', (name) => {
  it('readFrames returns what was appended, and its positions', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io, framed: true });
    const positions = [await writer.appendWithChecksum('one')];
    await writer.appendWithChecksumBatched('two');
    positions.push(11, await writer.appendWithChecksum('three'));
    await writer.close();
    const found: Frame[] = [];
    for await (const frame of readFrames(path, { io })) found.push(frame);
    expect(found.map(({ position }) => position)).toEqual(positions);
    expect(found.map(({ data }) => Buffer.from(data).toString())).toEqual(['one', 'two', 'three']);
  });

  it('readFrames returns copies, or views on request', async () => {
    const { io, path } = fresh(name);
    await makeFile(io, path, framesOf('one', 'two'));
    const copies: Uint8Array[] = [];
    for await (const { data } of readFrames(path, { io })) copies.push(data);
    const views: Uint8Array[] = [];
    for await (const { data } of readFrames(path, { io, copy: false })) views.push(data);
    expect(copies[0]?.buffer).not.toBe(copies[1]?.buffer);
    expect(views[0]?.buffer).toBe(views[1]?.buffer);
    expect(views).toEqual(copies);
  });

  it('readFrames reads an empty file, and needs a file', async () => {
    const { io, path } = fresh(name);
    await expect(textsOf(path, { io })).rejects.toThrow(failure('WAL_NOT_FOUND'));
    await makeFile(io, path, new Uint8Array(0));
    expect(await textsOf(path, { io })).toEqual([]);
  });

  it('readFrames closes the file when it is left', async () => {
    const { io, path } = fresh(name);
    await makeFile(io, path, framesOf('one', 'two'));
    for await (const { position } of readFrames(path, { io })) if (position === 0) break;
    // A backend that lost track of it would say so here.
    await io.dispose();
    expect(io.stats().inFlight).toBe(0);
  });

  it('is recovered when it is opened', async () => {
    const { io, path } = fresh(name);
    await makeFile(io, path, Buffer.concat([framesOf('one', 'two'), Buffer.from('torn')]));
    const writer = await PortableWalWriter.open(path, { io, framed: true });
    expect(writer.recovery).toEqual({ frames: 2, bytesCut: 4 });
    expect(Object.isFrozen(writer.recovery)).toBe(true);
    expect(writer.size).toBe(22);
    expect(io.stat(path).size).toBe(22);
    expect(await writer.appendWithChecksum('three')).toBe(22);
    await writer.close();
    expect(await contentOf(io, path)).toEqual(framesOf('one', 'two', 'three'));
    const again = await PortableWalWriter.open(path, { io, framed: true });
    expect(again.recovery).toEqual({ frames: 3, bytesCut: 0 });
    expect(again.stats()).toMatchObject({ bytesRead: 70, bytesWritten: 35 });
    await again.close();
  });

  it('accepts only frames', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io, framed: true });
    await expect(writer.append('raw')).rejects.toThrow(failure('WAL_STATE', { state: 'framed' }));
    await expect(writer.appendBatched('raw')).rejects.toThrow(failure('WAL_STATE', { state: 'framed' }));
    expect(writer.hasPendingBatch).toBe(false);
    await writer.close();
    expect(io.stat(path).size).toBe(0);
  });

  it('no frame starts in the last 7 bytes of a block, framed or not', async () => {
    for (const framed of [true, false]) {
      for (let length = 490; length <= 520; length++) {
        const { io, path } = fresh(name);
        const writer = await PortableWalWriter.open(path, { io, framed, blockBytes: 512 });
        const lengths = [length, 3, 600, 5, 1];
        const positions: number[] = [];
        for (const each of lengths) positions.push(await writer.appendWithChecksum(Buffer.alloc(each, 'x')));
        for (const position of positions) expect(position % 512).toBeLessThanOrEqual(504);
        expect(writer.size).toBe((positions.at(-1) as number) + 9);
        await writer.close();
        expect(await lengthsOf(path, io, 512)).toEqual(lengths);
      }
    }
  });

  it('padGroups gives every write blocks of its own', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io, framed: true, padGroups: true, blockBytes: 512 });
    expect(await writer.appendWithChecksum('one')).toBe(0);
    expect(await writer.appendWithChecksumBatched('two')).toBe(11);
    expect(await writer.appendWithChecksumBatched(Buffer.alloc(600, 'x'))).toBe(619);
    await writer.flushBatch();
    expect(writer.size).toBe(512 + 1024);
    await writer.close();
    const content = await contentOf(io, path);
    expect(content.subarray(11, 512)).toEqual(padding(512 - 11));
    expect(content.subarray(512 + 619)).toEqual(padding(1024 - 619));
    expect(await textsOf(path, { io, blockBytes: 512 })).toEqual(['one', 'two', 'x'.repeat(600)]);
    const again = await PortableWalWriter.open(path, { io, framed: true, padGroups: true, blockBytes: 512 });
    expect(again.recovery).toEqual({ frames: 3, bytesCut: 0 });
    expect(await again.appendWithChecksum('three')).toBe(1536);
    await again.close();
  });

  it('continues after padding, with padding or without', async () => {
    const { io, path } = fresh(name);
    for (const padGroups of [true, false, true, false, false, true]) {
      const writer = await PortableWalWriter.open(path, { io, framed: true, padGroups, blockBytes: 512 });
      expect(writer.recovery?.bytesCut).toBe(0);
      await writer.appendWithChecksum(`padGroups: ${padGroups}`);
      await writer.close();
    }
    const expected = [true, false, true, false, false, true].map((each) => `padGroups: ${each}`);
    expect(await textsOf(path, { io, blockBytes: 512 })).toEqual(expected);
  });

  it('syncs by itself before more than maxUnsyncedBytes are written and not durable', async () => {
    const { io, path } = fresh(name);
    const options = { io, framed: true, blockBytes: 512, maxUnsyncedBytes: 1024 };
    const writer = await PortableWalWriter.open(path, options);
    const before = io.stats().syncs;
    const syncs: number[] = [];
    for (let index = 0; index < 12; index++) {
      await writer.appendWithChecksum(Buffer.alloc(242, 'x'));
      syncs.push(io.stats().syncs - before);
    }
    expect(syncs).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    // A batch that is larger goes out in several writes.
    for (let index = 0; index < 12; index++) await writer.appendWithChecksumBatched(Buffer.alloc(242, 'x'));
    await writer.flushBatch();
    expect(io.stats().syncs - before).toBe(6);
    await writer.close();
    expect(await lengthsOf(path, io, 512)).toEqual(new Array(24).fill(242));
  });

  it('refuses a frame that is longer than a torn tail may be', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io, framed: true, blockBytes: 512, maxUnsyncedBytes: 2048 });
    const tooLarge = failure('WAL_TOO_LARGE', { limit: 1536, actual: 1537 });
    await expect(writer.appendWithChecksum(Buffer.alloc(1529))).rejects.toThrow(tooLarge);
    await expect(writer.appendWithChecksumBatched(Buffer.alloc(1529))).rejects.toThrow(tooLarge);
    await writer.appendWithChecksum(Buffer.alloc(1528));
    await writer.close();
    const again = await PortableWalWriter.open(path, { io, framed: true, blockBytes: 512, maxUnsyncedBytes: 2048 });
    expect(again.recovery).toEqual({ frames: 1, bytesCut: 0 });
    await again.close();
  });

  it('is read in constant memory, large frames and small', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io, framed: true });
    const lengths: number[] = [];
    for (let round = 0; round < 4; round++) {
      for (let index = 0; index < 6000; index++) lengths.push((index % 60) + 1);
      lengths.push(1_000_000, 262_144 - 8, 300_000);
    }
    for (const length of lengths) void writer.appendWithChecksumBatched(Buffer.alloc(length, length));
    await writer.close();
    const buffers = new Set<ArrayBufferLike>();
    const found: number[] = [];
    for await (const { data } of readFrames(path, { io, copy: false })) {
      if (data.at(-1) !== data.length % 256) throw new Error(`frame ${found.length} has another content`);
      found.push(data.length);
      buffers.add(data.buffer);
    }
    expect(found).toEqual(lengths);
    // One ordinary buffer between any two larger ones, and none is larger than its frame needs.
    expect(buffers.size).toBeLessThanOrEqual(2 * 12 + 1);
    expect(Math.max(...[...buffers].map(({ byteLength }) => byteLength))).toBeLessThanOrEqual(1_000_008 + 2 * 65_536);
  });

  it('is damaged when more follows the frames than a crash leaves: nothing is changed', async () => {
    const { io, path } = fresh(name);
    const options = { io, blockBytes: 512, maxUnsyncedBytes: 1024 };
    // Padding up to 512, and the beginning of a frame of 9 bytes behind it.
    const content = Buffer.alloc(512 + 1025);
    framesOf('one', 'two').copy(content);
    padding(512 - 22).copy(content, 22);
    content[512] = 9;
    await makeFile(io, path, content.subarray(0, -1));
    const writer = await PortableWalWriter.open(path, { ...options, framed: true });
    expect(writer.recovery).toEqual({ frames: 2, bytesCut: content.length - 1 - 22 });
    await writer.close();
    await makeFile(io, path, content);
    const corrupt = failure('WAL_CORRUPT', { reason: 'long-tail', offset: 512, actual: 1025, limit: 1024 });
    await expect(PortableWalWriter.open(path, { ...options, framed: true })).rejects.toThrow(corrupt);
    expect(await contentOf(io, path)).toEqual(content);
    const found: string[] = [];
    await expect(
      (async () => {
        for await (const { data } of readFrames(path, options)) found.push(Buffer.from(data).toString());
      })(),
    ).rejects.toThrow(corrupt);
    expect(found).toEqual(['one', 'two']);
  });

  it('is damaged, or no file of frames, when a length follows that no frame has: nothing is changed', async () => {
    const { io, path } = fresh(name);
    const text = Buffer.from('This is a letter to a friend, and not a log at all.');
    await makeFile(io, path, text);
    const corrupt = failure('WAL_CORRUPT', { reason: 'impossible-length', offset: 0, actual: 0x73696854 + 8 });
    await expect(PortableWalWriter.open(path, { io, framed: true })).rejects.toThrow(corrupt);
    await expect(textsOf(path, { io })).rejects.toThrow(corrupt);
    expect(await contentOf(io, path)).toEqual(text);
  });

  it('with larger frames than the reader allows is refused', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io, framed: true, blockBytes: 512, maxUnsyncedBytes: 4096 });
    await writer.appendWithChecksum('small');
    await writer.appendWithChecksum(Buffer.alloc(2000, 'x'));
    await writer.close();
    for (const [maxUnsyncedBytes, limit] of [
      [1024, 1024],
      [2519, 2007],
    ] as const) {
      const options = { io, blockBytes: 512, maxUnsyncedBytes };
      const corrupt = failure('WAL_CORRUPT', { offset: 13, actual: 2008, limit });
      await expect(PortableWalWriter.open(path, { ...options, framed: true })).rejects.toThrow(corrupt);
      await expect(textsOf(path, options)).rejects.toThrow(corrupt);
    }
    expect(await textsOf(path, { io, blockBytes: 512, maxUnsyncedBytes: 2520 })).toHaveLength(2);
    expect(await lengthsOf(path, io, 512)).toEqual([5, 2000]);
  });

  it('a block of zeros ends it, whatever follows', async () => {
    const { io, path } = fresh(name);
    const behind = Buffer.alloc(2048);
    framesOf('one').copy(behind, 0);
    padding(501).copy(behind, 11);
    framesOf('two').copy(behind, 512);
    padding(501).copy(behind, 523);
    framesOf('lost').copy(behind, 1536);
    await makeFile(io, path, behind);
    expect(await textsOf(path, { io, blockBytes: 512 })).toEqual(['one', 'two']);
    const writer = await PortableWalWriter.open(path, { io, framed: true, blockBytes: 512 });
    expect(writer.recovery).toEqual({ frames: 2, bytesCut: 2048 - 523 });
    expect(await writer.appendWithChecksum('three')).toBe(523);
    await writer.close();
    expect(await textsOf(path, { io, blockBytes: 512 })).toEqual(['one', 'two', 'three']);
  });
});

describe('a file of frames whose writes are padded', () => {
  it.each([512, 4096, 65_536])('is read whole however long it is, in blocks of %i bytes', async (blockBytes) => {
    const { io, path } = fresh('memory');
    const options = { io, framed: true, blockBytes };
    const lengths: number[] = [];
    // Frames that end everywhere in their block, its last 8 bytes above all.
    for (let round = 0; round < 4; round++) {
      const writer = await PortableWalWriter.open(path, { ...options, padGroups: round !== 2 });
      expect(writer.recovery).toEqual({ frames: lengths.length, bytesCut: 0 });
      for (let index = 0; index < 400; index++) {
        const length = index % 40 < 20 ? blockBytes - 8 - (index % 20) : 1 + ((index * 97) % (2 * blockBytes));
        lengths.push(length);
        await writer.appendWithChecksum(Buffer.alloc(length, 0xff));
      }
      await writer.close();
    }
    expect(await lengthsOf(path, io, blockBytes)).toEqual(lengths);
  });

  it('ends where zeros are not marked as padding', async () => {
    const { io, path } = fresh('memory');
    const content = Buffer.alloc(1024);
    framesOf('one').copy(content, 0);
    framesOf('two').copy(content, 512);
    await makeFile(io, path, content);
    expect(await textsOf(path, { io, blockBytes: 512 })).toEqual(['one']);
    const writer = await PortableWalWriter.open(path, { io, framed: true, blockBytes: 512 });
    expect(writer.recovery).toEqual({ frames: 1, bytesCut: 1013 });
    await writer.close();
  });
});

describe.each(waiting)('the blocking twins for a file of frames on %s', (name) => {
  it('readFrames is iterable without waiting, and is the same', async () => {
    const { io, path } = fresh(name);
    const writer = PortableWalWriter.openSync(path, { io, framed: true });
    writer.appendWithChecksumSync('one');
    writer.appendWithChecksumBatchedSync('two');
    writer.closeSync();
    const frames = readFrames(path, { io });
    const found = [...frames];
    expect(found.map(({ data }) => Buffer.from(data).toString())).toEqual(['one', 'two']);
    expect([...frames]).toEqual(found);
    for (const { position } of frames) {
      expect(position).toBe(0);
      break;
    }
    await io.dispose();
    expect(io.stats().inFlight).toBe(0);
  });

  it('recover as the others do', async () => {
    const { io, path } = fresh(name);
    await makeFile(io, path, Buffer.concat([framesOf('one'), Buffer.from([7, 0, 0])]));
    const writer = PortableWalWriter.openSync(path, { io, framed: true });
    expect(writer.recovery).toEqual({ frames: 1, bytesCut: 3 });
    writer.closeSync();
    expect(await contentOf(io, path)).toEqual(framesOf('one'));
    await makeFile(io, path, Buffer.alloc(20, 0xff));
    expect(() => PortableWalWriter.openSync(path, { io, framed: true })).toThrow(failure('WAL_CORRUPT'));
    expect(() => [...readFrames(path, { io })]).toThrow(failure('WAL_CORRUPT'));
  });
});

describe('readFrames', () => {
  it('opens a backend that is named, or chooses one', async () => {
    const { io, path } = fresh('sync-fs');
    await makeFile(io, path, framesOf('one'));
    for (const named of ['sync-fs', 'thread-pool', 'auto'] as const) {
      expect(await textsOf(path, { io: named })).toEqual(['one']);
    }
    expect([...readFrames(path)]).toHaveLength(1);
    expect([...readFrames(path, { io: 'sync-fs' })]).toHaveLength(1);
    expect(() => [...readFrames(path, { io: 'thread-pool' })]).toThrow(failure('WAL_UNSUPPORTED'));
  });

  it('reads beside a writer, as far as the file goes', async () => {
    const { io, path } = fresh('thread-pool');
    const writer = await PortableWalWriter.open(path, { io, framed: true });
    await writer.appendWithChecksum('one');
    expect(await textsOf(path, { io })).toEqual(['one']);
    const reading = readFrames(path, { io });
    await writer.appendWithChecksum('two');
    const found: string[] = [];
    for await (const { data } of reading) {
      found.push(Buffer.from(data).toString());
      await writer.appendWithChecksum('later');
    }
    expect(found).toEqual(['one', 'two']);
    await writer.close();
  });

  it('ends well when its backend ends before it', async () => {
    const io = createMemoryStorageIo();
    await makeFile(io, 'file', framesOf('one', 'two'));
    for await (const { position } of readFrames('file', { io })) {
      expect(position).toBe(0);
      await io.dispose();
      break;
    }
  });
});
