import {
  createMemoryStorageIo,
  fromSyncFileOps,
  PortableWalWriter,
  readFrames,
  type StorageIo,
} from '@walstack/storage-io';
import { describe, expect, it } from 'vitest';
import { withDirect } from './direct-ops.js';
import { contentOf, failure, textsOf } from './portable-support.js';
import { ByHand, inATurn, type Schedule, TinyFiles, tinyAsync, tinySync, tinySyncOps } from './tiny-ops.js';

const path = 'd/file';

/** A backend of which the operations named fail, once told to. */
function faulty(code = 'EIO', schedule: Schedule = inATurn): { files: TinyFiles; io: StorageIo; fail: Set<string> } {
  const files = new TinyFiles();
  const fail = new Set<string>();
  files.fault = (operation) => (fail.has(operation) ? code : undefined);
  return { files, io: tinyAsync(() => schedule)(files), fail };
}

const settled = async (promises: readonly Promise<unknown>[]): Promise<unknown[]> =>
  (await Promise.allSettled(promises)).map((each) => (each.status === 'fulfilled' ? each.value : each.reason));

describe('a failure', () => {
  it.each([
    ['close', (writer: PortableWalWriter) => writer.close()],
    ['closeSync', async (writer: PortableWalWriter) => writer.closeSync()],
  ])(
    'that comes while %s waits for its turn is told by it: what was appended last is not durable',
    async (_name, close) => {
      const files = new TinyFiles();
      let failing = false;
      files.fault = (operation) => (failing && operation === 'datasync' ? 'EIO' : undefined);
      const io = tinySync(files);
      const writer = await PortableWalWriter.open(path, { io, framed: true });
      failing = true;
      await writer.appendWithChecksumBatched('one');
      const flushed = writer.flushBatch();
      const appended = writer.appendWithChecksumBatched('two');
      const closed = close(writer);
      await expect(flushed).rejects.toThrow(failure('WAL_IO_FAILED'));
      await appended;
      await expect(closed).rejects.toThrow(failure('WAL_IO_FAILED'));
      await expect(writer.append('three')).rejects.toThrow(failure('WAL_CLOSED'));
    },
  );

  it.each([
    ['write', 'EIO', 'WAL_IO_FAILED'],
    ['write', 'ENOSPC', 'WAL_NO_SPACE'],
    ['datasync', 'EIO', 'WAL_IO_FAILED'],
    ['datasync', 'EDQUOT', 'WAL_NO_SPACE'],
  ])('of a %s with %s is final, and every call after it is told so', async (operation, systemCode, code) => {
    const { io, fail } = faulty(systemCode);
    const writer = await PortableWalWriter.open(path, { io });
    await writer.append('before');
    fail.add(operation);
    await writer.appendBatched('batched');
    const first = await writer.flushBatch().catch((error: unknown) => error);
    expect(first).toEqual(failure(code, { systemCode, operation }));
    expect(writer.failure).toBe(first);
    // The disk is well again: that proves nothing.
    fail.clear();
    const later = expect.objectContaining({ code, cause: first, message: expect.stringContaining('open it again') });
    await expect(writer.append('x')).rejects.toThrow(later);
    await expect(writer.appendBatched('x')).rejects.toThrow(later);
    await expect(writer.appendWithChecksum('x')).rejects.toThrow(later);
    await expect(writer.appendWithChecksumBatched('x')).rejects.toThrow(later);
    await expect(writer.flushBatch()).rejects.toThrow(later);
    await expect(writer.sync()).rejects.toThrow(later);
    const { syncs } = io.stats();
    await writer.close();
    expect(io.stats().syncs).toBe(syncs);
    await expect(writer.append('x')).rejects.toThrow(failure('WAL_CLOSED'));
    const again = await PortableWalWriter.open(path, { io });
    expect(again.failure).toBeUndefined();
    await again.append('after');
    await again.close();
    const content = (await contentOf(io, path)).toString();
    expect(content).toBe(operation === 'write' ? 'beforeafter' : 'beforebatchedafter');
  });

  it('rejects all calls that wait for the operation, and later calls get its code', async () => {
    const hands = new ByHand();
    const { io, fail } = faulty('EIO', hands.schedule);
    const opening = PortableWalWriter.open(path, { io });
    while (hands.waiting.length > 0) {
      hands.all();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const writer = await opening;
    const calls = [
      writer.append('under way'),
      writer.append('next'),
      writer.append('with it'),
      writer.appendBatched('batched'),
      writer.sync(),
      writer.flushBatch(),
    ];
    fail.add('write');
    hands.all();
    const [underWay, next, withIt, batched, sync, flush] = await settled(calls);
    expect(underWay).toBe(writer.failure);
    expect(batched).toBe(7);
    for (const each of [next, withIt, sync, flush]) expect(each).toEqual(failure('WAL_IO_FAILED', { cause: underWay }));
    expect(writer.stats()).toMatchObject({ dropped: 3, inFlight: 0, completionRate: 1, bytesWritten: 0 });
    expect([writer.hasPendingBatch, writer.pendingBatchBytes, writer.size]).toEqual([false, 0, 0]);
    const closing = writer.close();
    hands.all();
    await closing;
  });

  it('of a sync under close rejects it, and the file is closed all the same', async () => {
    const { io, fail, files } = faulty();
    const writer = await PortableWalWriter.open(path, { io });
    await writer.appendBatched('x');
    fail.add('datasync');
    const closing = [writer.close(), writer.close()];
    for (const each of closing) await expect(each).rejects.toThrow(failure('WAL_IO_FAILED'));
    expect(files.calls.at(-1)).toBe('close');
    await expect(writer.append('x')).rejects.toThrow(failure('WAL_CLOSED'));
  });

  it('is the same for the blocking twins', () => {
    const files = new TinyFiles();
    const io = tinySync(files);
    const writer = PortableWalWriter.openSync(path, { io });
    files.fault = (operation) => (operation === 'write' ? 'EIO' : undefined);
    expect(() => writer.appendSync('x')).toThrow(failure('WAL_IO_FAILED', { systemCode: 'EIO' }));
    files.fault = () => undefined;
    const later = failure('WAL_IO_FAILED', { cause: writer.failure });
    expect(() => writer.appendBatchedSync('x')).toThrow(later);
    expect(() => writer.flushBatchSync()).toThrow(later);
    expect(() => writer.syncSync()).toThrow(later);
    writer.closeSync();
    expect(files.calls.at(-1)).toBe('close');
  });

  it('while a file is opened leaves no file open, and is reported', async () => {
    for (const operation of ['syncDirectory', 'read', 'write', 'datasync', 'truncate']) {
      const { io, fail, files } = faulty();
      const writer = await PortableWalWriter.open(path, { io, framed: true });
      await writer.appendWithChecksum('kept');
      await writer.close();
      const file = files.entries.get(path);
      if (file === undefined || file === 'directory') throw new Error('no file');
      file.bytes = Buffer.concat([file.bytes, Buffer.from('torn')]);
      fail.add(operation);
      const open = PortableWalWriter.open(path, { io, framed: true });
      await expect(open).rejects.toThrow(failure('WAL_IO_FAILED', { systemCode: 'EIO' }));
      expect(file.open).toBe(0);
      fail.clear();
      const again = await PortableWalWriter.open(path, { io, framed: true });
      await again.appendWithChecksum('more');
      await again.close();
      expect(await textsOf(path, { io })).toEqual(['kept', 'more']);
    }
  });

  it('to open the directory matters only when the file is new', async () => {
    const { io, fail, files } = faulty('EACCES');
    fail.add('syncDirectory');
    await expect(PortableWalWriter.open(path, { io })).rejects.toThrow(failure('WAL_IO_FAILED'));
    const writer = await PortableWalWriter.open(path, { io });
    await writer.append('x');
    await writer.close();
    expect(files.calls.filter((call) => call === 'syncDirectory')).toHaveLength(2);
  });

  it('that a backend throws is final, too', async () => {
    const io = createMemoryStorageIo();
    const writer = await PortableWalWriter.open('file', { io });
    await writer.append('before');
    await io.dispose();
    await expect(writer.append('x')).rejects.toThrow(failure('WAL_CLOSED'));
    expect(writer.failure).toEqual(failure('WAL_CLOSED'));
    await expect(writer.close()).rejects.toThrow(failure('WAL_CLOSED'));
  });

  it('that is no WalError is the cause of one', () => {
    const io = createMemoryStorageIo();
    const writer = PortableWalWriter.openSync('file', { io });
    const reason = new Error('a plugin out of order');
    io.submitWrite = () => {
      throw reason;
    };
    expect(() => writer.appendSync('x')).toThrow(failure('WAL_IO_FAILED', { cause: reason }));
  });

  it('of a backend that loses its place is a failure as well', () => {
    const io = createMemoryStorageIo();
    const submitWrite = io.submitWrite.bind(io);
    io.submitWrite = (file, data, offset) => submitWrite(file, data.subarray(1), offset);
    const writer = PortableWalWriter.openSync('file', { io });
    expect(() => writer.appendSync('xyz')).toThrow(failure('WAL_IO_FAILED', { reason: 'short-write' }));
    expect(writer.size).toBe(0);
  });
});

describe('a file that the system fails to close', () => {
  /** A backend of which a file of frames is written, and that closes no file without an error from then on. */
  function closingBadly(): { files: TinyFiles; io: StorageIo } {
    const files = new TinyFiles();
    const io = fromSyncFileOps(withDirect(tinySyncOps(files)));
    const writer = PortableWalWriter.openSync(path, { io, framed: true, direct: true });
    writer.appendWithChecksumSync('frame');
    writer.closeSync();
    files.fault = (operation) => (operation === 'close' ? 'EIO' : undefined);
    return { files, io };
  }

  it('was read all the same', async () => {
    const { io } = closingBadly();
    expect(await textsOf(path, { io })).toEqual(['frame']);
    expect([...readFrames(path, { io })]).toHaveLength(1);
  });

  it('keeps no writer from opening it', () => {
    const { io } = closingBadly();
    const writer = PortableWalWriter.openSync(path, { io, framed: true, direct: true });
    expect(writer.recovery).toEqual({ frames: 1, bytesCut: 0 });
  });

  it('does not hide why it was refused', () => {
    const { io, files } = closingBadly();
    files.entries.set(path, { bytes: Buffer.from('this holds no frames'), open: 0 });
    expect(() => PortableWalWriter.openSync(path, { io, framed: true })).toThrow(failure('WAL_CORRUPT'));
  });
});
