import { decodeFrame } from '@walstack/codec';
import { ioSteps, PortableWalWriter, runAsync } from '@walstack/storage-io';
import { describe, expect, it } from 'vitest';
import { contentOf, failure, fresh, makeFile, names, submissionsOf, waiting } from './portable-support.js';

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe.each(names)('PortableWalWriter on %s', (name) => {
  it('open creates a file, or continues at the end of one', async () => {
    const { io, path } = fresh(name);
    const first = await PortableWalWriter.open(path, { io });
    expect([first.size, first.path.endsWith('/file'), first.recovery, first.direct]).toEqual([
      0,
      true,
      undefined,
      false,
    ]);
    expect(await first.append('one')).toBe(0);
    await first.close();
    const second = await PortableWalWriter.open(path, { io, create: false });
    expect(second.size).toBe(3);
    expect(await second.append('two')).toBe(3);
    await second.close();
    expect((await contentOf(io, path)).toString()).toBe('onetwo');
  });

  it('open without create needs a file', async () => {
    const { io, path } = fresh(name);
    await expect(PortableWalWriter.open(path, { io, create: false })).rejects.toThrow(failure('WAL_NOT_FOUND'));
    expect(() => io.stat(path)).toThrow(failure('WAL_NOT_FOUND'));
  });

  it('append writes at once, and returns where', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io });
    expect(await writer.append(bytes('one,'))).toBe(0);
    expect(await writer.append('zwölf,')).toBe(4);
    expect(await writer.append(new Uint8Array(0))).toBe(11);
    expect((await contentOf(io, path)).toString()).toBe('one,zwölf,');
    expect(writer.size).toBe(11);
    await writer.close();
  });

  it('append copies what it is given before it returns', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io });
    const data = bytes('before');
    const appended = writer.append(data);
    const batched = writer.appendBatched(data);
    data.fill(0);
    await Promise.all([appended, batched]);
    await writer.close();
    expect((await contentOf(io, path)).toString()).toBe('beforebefore');
  });

  it('appends are in the order of the calls, awaited or not', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io });
    const calls: Promise<unknown>[] = [];
    for (let index = 0; index < 300; index++) {
      calls.push(index % 3 === 0 ? writer.appendBatched(`${index};`) : writer.append(`${index};`));
      if (index % 50 === 0) calls.push(writer.sync());
    }
    await Promise.all(calls);
    expect((await contentOf(io, path)).toString()).toBe(
      Array.from({ length: 300 }, (_, index) => `${index};`).join(''),
    );
    await writer.close();
  });

  it('what is appended during a write goes into the next one', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io });
    const submissions = submissionsOf(writer);
    const positions = await Promise.all(Array.from({ length: 100 }, (_, index) => writer.append(`${index % 10}`)));
    expect(submissions()).toBe(2);
    expect(positions).toEqual(Array.from({ length: 100 }, (_, index) => index));
    await writer.close();
  });

  it('appendBatched keeps in memory what flushBatch writes and makes durable', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io });
    expect(await writer.appendBatched('abc')).toBe(3);
    expect(await writer.appendBatched('de')).toBe(5);
    expect([writer.pendingBatchBytes, writer.pendingBatchOps, writer.hasPendingBatch, writer.size]).toEqual([
      5,
      2,
      true,
      0,
    ]);
    expect((await contentOf(io, path)).toString()).toBe('');
    const submissions = submissionsOf(writer);
    const { syncs } = io.stats();
    await writer.flushBatch();
    expect(submissions()).toBe(2);
    expect(io.stats().syncs - syncs).toBe(1);
    expect([writer.pendingBatchBytes, writer.pendingBatchOps, writer.hasPendingBatch, writer.size]).toEqual([
      0,
      0,
      false,
      5,
    ]);
    expect((await contentOf(io, path)).toString()).toBe('abcde');
    await writer.close();
  });

  it('flushBatch does nothing when the batch is durable', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io });
    const submissions = submissionsOf(writer);
    await writer.flushBatch();
    expect(submissions()).toBe(0);
    await writer.appendBatched('a');
    await writer.sync();
    await writer.append('b');
    await writer.flushBatch();
    expect(submissions()).toBe(3);
    await writer.close();
  });

  it('flushBatch makes durable what an append has written with it', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io });
    await writer.appendBatched('a');
    await writer.append('b');
    expect(writer.hasPendingBatch).toBe(false);
    const { syncs } = io.stats();
    await writer.flushBatch();
    expect(io.stats().syncs - syncs).toBe(1);
    await writer.close();
  });

  it('a batch of maxBatchBytes is flushed by the append that fills it', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io, maxBatchBytes: 10 });
    expect(writer.maxBatchBytes).toBe(10);
    expect(await writer.appendBatched('123456')).toBe(6);
    expect(writer.size).toBe(0);
    const { syncs } = io.stats();
    expect(await writer.appendBatched('7890')).toBe(0);
    expect(writer.size).toBe(10);
    expect(io.stats().syncs - syncs).toBe(1);
    expect(await writer.appendBatched('1')).toBe(1);
    await writer.close();
  });

  it('maxBatchBytes is 1 MiB by default', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io });
    expect(writer.maxBatchBytes).toBe(1024 * 1024);
    await writer.close();
  });

  it('appendWithChecksum writes a frame, and returns where', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io });
    expect(await writer.append('head')).toBe(0);
    expect(await writer.appendWithChecksum('123456789')).toBe(4);
    expect(await writer.appendWithChecksum(bytes('two'))).toBe(21);
    expect(writer.size).toBe(32);
    const content = await contentOf(io, path);
    expect(content.readUInt32LE(4)).toBe(9);
    expect(decodeFrame(content, 4)).toEqual(new Uint8Array(bytes('123456789')));
    expect(decodeFrame(content, 21)).toEqual(new Uint8Array(bytes('two')));
    await writer.close();
  });

  it('appendWithChecksumBatched counts headers', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io });
    expect(await writer.appendWithChecksumBatched('123')).toBe(11);
    expect(await writer.appendBatched('45')).toBe(13);
    expect(writer.pendingBatchOps).toBe(2);
    await writer.flushBatch();
    const content = await contentOf(io, path);
    expect(decodeFrame(content)).toEqual(new Uint8Array(bytes('123')));
    expect(content.subarray(11).toString()).toBe('45');
    await writer.close();
  });

  it('sync flushes the batch, and does nothing when all is durable', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io });
    const submissions = submissionsOf(writer);
    await writer.sync();
    expect(submissions()).toBe(0);
    await writer.append('a');
    await writer.appendBatched('b');
    const { syncs } = io.stats();
    await Promise.all([writer.sync(), writer.sync(), writer.flushBatch()]);
    expect(writer.hasPendingBatch).toBe(false);
    expect(io.stats().syncs - syncs).toBe(1);
    expect(submissions()).toBe(3);
    expect((await contentOf(io, path)).toString()).toBe('ab');
    await writer.close();
  });

  it('the first sync of a file that had content covers that content', async () => {
    const { io, path } = fresh(name);
    await makeFile(io, path, bytes('found'));
    const writer = await PortableWalWriter.open(path, { io });
    const { syncs } = io.stats();
    await writer.sync();
    expect(io.stats().syncs - syncs).toBe(1);
    await writer.sync();
    expect(io.stats().syncs - syncs).toBe(1);
    await writer.close();
  });

  it('stats counts the operations of this writer', async () => {
    const { io, path } = fresh(name);
    const other = await PortableWalWriter.open(`${path}-other`, { io });
    const writer = await PortableWalWriter.open(path, { io });
    const before = writer.stats();
    await other.append('not mine');
    const appended = writer.append('12345');
    expect(writer.stats()).toEqual({
      ...before,
      submitted: before.submitted + 1,
      inFlight: 1,
      completionRate: before.completed / (before.submitted + 1),
    });
    await appended;
    await writer.sync();
    const after = writer.stats();
    expect(after).toEqual({
      submitted: before.submitted + 2,
      completed: before.submitted + 2,
      inFlight: 0,
      completionRate: 1,
      bytesWritten: 5,
      bytesRead: 0,
      overflows: 0,
      dropped: 0,
    });
    expect(Object.isFrozen(after)).toBe(true);
    await Promise.all([other.close(), writer.close()]);
  });

  it('close makes everything durable, once, and refuses what comes after', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io });
    await writer.appendBatched('batched');
    const { syncs } = io.stats();
    await Promise.all([writer.close(), writer.close()]);
    await writer.close();
    expect(io.stats().syncs - syncs).toBe(1);
    expect((await contentOf(io, path)).toString()).toBe('batched');
    const closed = failure('WAL_CLOSED', { state: 'closed' });
    for (const call of ['append', 'appendBatched', 'appendWithChecksum', 'appendWithChecksumBatched'] as const) {
      await expect(writer[call]('x')).rejects.toThrow(closed);
    }
    await expect(writer.flushBatch()).rejects.toThrow(closed);
    await expect(writer.sync()).rejects.toThrow(closed);
    expect(writer.size).toBe(7);
  });

  it('close waits for what was called before, and refuses what is called meanwhile', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io });
    const appended = [writer.append('a'), writer.append('b')];
    const closing = writer.close();
    await expect(writer.append('c')).rejects.toThrow(failure('WAL_CLOSED', { state: 'closing' }));
    await Promise.all([...appended, closing]);
    expect((await contentOf(io, path)).toString()).toBe('ab');
  });

  it('await using closes', async () => {
    const { io, path } = fresh(name);
    let kept: PortableWalWriter;
    {
      await using writer = await PortableWalWriter.open(path, { io });
      await writer.appendBatched('kept');
      kept = writer;
    }
    await expect(kept.append('x')).rejects.toThrow(failure('WAL_CLOSED'));
    expect((await contentOf(io, path)).toString()).toBe('kept');
  });

  it('a backend that was passed stays open', async () => {
    const { io, path } = fresh(name);
    await (await PortableWalWriter.open(path, { io })).close();
    expect(io.stat(path)).toMatchObject({ kind: 'file', size: 0 });
  });

  it('a second writer is locked out where files have locks', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io });
    const second = PortableWalWriter.open(path, { io });
    if (io.capabilities.fileLocks) {
      await expect(second).rejects.toThrow(failure('WAL_LOCKED'));
    } else {
      await (await second).close();
    }
    await writer.close();
    await (await PortableWalWriter.open(path, { io })).close();
  });

  it('appends are refused while too much is pending', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io, maxPendingBytes: 10, maxBatchBytes: 10 });
    const large = writer.append('more than ten bytes');
    await expect(writer.append('x')).rejects.toThrow(failure('WAL_BACKPRESSURE', { limit: 10, actual: 20 }));
    await large;
    expect(await writer.append('x')).toBe(19);
    await writer.close();
    expect((await contentOf(io, path)).toString()).toBe('more than ten bytesx');
  });

  it('a full queue is waited for and counted', async () => {
    const { io, path } = fresh(name);
    const writer = await PortableWalWriter.open(path, { io });
    const file = io.open(`${path}-other`, { create: true });
    const data = new Uint8Array(1);
    const others: Promise<void>[] = [];
    while (io.stats().queueFullEvents === 0) others.push(runAsync(io, ioSteps.write(io, file, data, others.length)));
    const appended = writer.append('in the end');
    expect(writer.stats()).toMatchObject({ overflows: 1, inFlight: 0 });
    await Promise.all([...others, appended]);
    expect(writer.stats().overflows).toBeGreaterThanOrEqual(1);
    expect((await contentOf(io, path)).toString()).toBe('in the end');
    io.close(file);
    await writer.close();
  });
});

describe.each(waiting)('the blocking twins of PortableWalWriter on %s', (name) => {
  it('do what the others do', async () => {
    const { io, path } = fresh(name);
    const writer = PortableWalWriter.openSync(path, { io, maxBatchBytes: 20 });
    expect(writer.appendSync('one')).toBe(0);
    expect((await contentOf(io, path)).toString()).toBe('one');
    expect(writer.appendWithChecksumSync('two')).toBe(3);
    expect(writer.size).toBe(14);
    expect(writer.appendBatchedSync('three')).toBe(5);
    expect(writer.appendWithChecksumBatchedSync('four')).toBe(17);
    expect(writer.size).toBe(14);
    writer.flushBatchSync();
    expect(writer.size).toBe(31);
    expect(writer.appendBatchedSync('twenty bytes, no less')).toBe(0);
    expect(writer.size).toBe(52);
    writer.appendSync('end');
    const { syncs } = io.stats();
    writer.flushBatchSync();
    expect(io.stats().syncs - syncs).toBe(0);
    writer.syncSync();
    writer.syncSync();
    expect(io.stats().syncs - syncs).toBe(1);
    writer.closeSync();
    writer.closeSync();
    expect((await contentOf(io, path)).subarray(52).toString()).toBe('end');
    expect(() => writer.appendSync('x')).toThrow(failure('WAL_CLOSED'));
    expect(() => writer.syncSync()).toThrow(failure('WAL_CLOSED'));
    expect(() => writer.flushBatchSync()).toThrow(failure('WAL_CLOSED'));
  });

  it('run after what was called before', async () => {
    const { io, path } = fresh(name);
    const writer = PortableWalWriter.openSync(path, { io });
    const earlier = [writer.append('a'), writer.append('b'), writer.sync()];
    expect(writer.appendSync('c')).toBe(2);
    expect(writer.size).toBe(3);
    await Promise.all(earlier);
    const closing = writer.close();
    writer.closeSync();
    await closing;
    expect((await contentOf(io, path)).toString()).toBe('abc');
  });

  it('using closes', async () => {
    const { io, path } = fresh(name);
    {
      using writer = PortableWalWriter.openSync(path, { io });
      writer.appendBatchedSync('kept');
    }
    expect((await contentOf(io, path)).toString()).toBe('kept');
  });
});

describe('a PortableWalWriter with a backend of its own', () => {
  it('opens one that is named, and disposes of it', async () => {
    const { io, path } = fresh('sync-fs');
    for (const own of ['thread-pool', 'sync-fs', 'auto'] as const) {
      const writer = await PortableWalWriter.open(path, { io: own });
      await writer.append('x');
      await writer.close();
    }
    expect((await contentOf(io, path)).toString()).toBe('xxx');
    const writer = PortableWalWriter.openSync(path);
    writer.appendSync('y');
    writer.closeSync();
    await writer.close();
    expect((await contentOf(io, path)).toString()).toBe('xxxy');
    const inMemory = await PortableWalWriter.open('file', { io: 'memory' });
    expect(await inMemory.append('x')).toBe(0);
    await inMemory.close();
  });

  it('cannot block without one that can wait', async () => {
    const { path } = fresh('thread-pool');
    const unsupported = failure('WAL_UNSUPPORTED');
    expect(() => PortableWalWriter.openSync(path, { io: 'thread-pool' })).toThrow(unsupported);
    const writer = await PortableWalWriter.open(path, { io: 'thread-pool' });
    for (const call of [
      'appendSync',
      'appendBatchedSync',
      'appendWithChecksumSync',
      'appendWithChecksumBatchedSync',
    ] as const) {
      expect(() => writer[call]('x')).toThrow(unsupported);
    }
    expect(() => writer.flushBatchSync()).toThrow(unsupported);
    expect(() => writer.syncSync()).toThrow(unsupported);
    expect(() => writer.closeSync()).toThrow(unsupported);
    expect(writer.hasPendingBatch).toBe(false);
    await writer.close();
    expect(writer.size).toBe(0);
  });

  it('stays where it is when the process changes its working directory', async () => {
    const { path } = fresh('sync-fs');
    const before = process.cwd();
    process.chdir(path.slice(0, -'/file'.length));
    try {
      const writer = await PortableWalWriter.open('file', { framed: true });
      process.chdir(before);
      expect(await writer.appendWithChecksum('x')).toBe(0);
      await writer.close();
    } finally {
      process.chdir(before);
    }
    await (await PortableWalWriter.open(path, { create: false })).close();
  });
});
