import {
  createMemoryStorageIo,
  PortableWalWriter,
  type PortableWalWriterOptions,
  readFrames,
} from '@walstack/storage-io';
import { describe, expect, it } from 'vitest';
import { failure, fresh, waiting } from './portable-support.js';

const wrongType = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
const wrongRange = expect.objectContaining({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });

/** Options of any kind. */
const anyOptions = (options: object): PortableWalWriterOptions => options as PortableWalWriterOptions;

const GIBIBYTE = 1024 ** 3;

const options: readonly [object, unknown][] = [
  [{ framd: true }, wrongType],
  [{ io: 7 }, wrongType],
  [{ io: {} }, wrongType],
  [{ io: null }, wrongType],
  [{ io: 'disk' }, wrongRange],
  [{ create: 1 }, wrongType],
  [{ framed: 'yes' }, wrongType],
  [{ direct: 0 }, wrongType],
  [{ framed: true, padGroups: 1 }, wrongType],
  [{ padGroups: true }, wrongRange],
  [{ blockBytes: 256 }, wrongRange],
  [{ blockBytes: 131_072 }, wrongRange],
  [{ blockBytes: 1000 }, wrongRange],
  [{ blockBytes: '512' }, wrongType],
  [{ maxBatchBytes: 0 }, wrongRange],
  [{ maxBatchBytes: 1.5 }, wrongRange],
  [{ maxBatchBytes: 64 * 1024 * 1024 + 1 }, wrongRange],
  [{ maxBatchBytes: 11, maxPendingBytes: 10 }, wrongRange],
  [{ maxPendingBytes: 0 }, wrongRange],
  [{ maxPendingBytes: GIBIBYTE + 1 }, wrongRange],
  [{ maxPendingBytes: Number.NaN }, wrongRange],
  [{ maxUnsyncedBytes: 8191 }, wrongRange],
  [{ framed: true, maxUnsyncedBytes: 8191 }, wrongRange],
  [{ framed: true, maxUnsyncedBytes: GIBIBYTE + 1 }, wrongRange],
  [{ framed: true, maxUnsyncedBytes: -1 }, wrongRange],
];

describe('wrong arguments of PortableWalWriter.open', () => {
  it.each(options)('options %o', async (wrong, error) => {
    const io = createMemoryStorageIo();
    const given = anyOptions('io' in wrong ? wrong : { io, ...wrong });
    await expect(PortableWalWriter.open('file', given)).rejects.toThrow(error as Error);
    expect(() => PortableWalWriter.openSync('file', given)).toThrow(error as Error);
    expect(io.list('/')).toEqual([]);
  });

  it('no options object, no path', async () => {
    await expect(PortableWalWriter.open('file', anyOptions([]))).rejects.toThrow(wrongType);
    await expect(PortableWalWriter.open(7 as unknown as string)).rejects.toThrow(wrongType);
    await expect(PortableWalWriter.open('')).rejects.toThrow(wrongRange);
    expect(() => PortableWalWriter.openSync('a\0b')).toThrow(wrongRange);
  });

  it('a directory, or a directory that is missing', async () => {
    const { io, path } = fresh('thread-pool');
    io.makeDirectory(path);
    await expect(PortableWalWriter.open(path, { io })).rejects.toThrow(
      failure('WAL_IO_FAILED', { systemCode: 'EISDIR' }),
    );
    await expect(PortableWalWriter.open(`${path}/missing/file`, { io })).rejects.toThrow(failure('WAL_NOT_FOUND'));
    expect(io.list(path)).toEqual([]);
  });

  it('the largest and the smallest are taken', async () => {
    const io = createMemoryStorageIo();
    for (const extreme of [
      { maxPendingBytes: GIBIBYTE, maxBatchBytes: GIBIBYTE },
      { maxPendingBytes: 1 },
      { framed: true, maxUnsyncedBytes: GIBIBYTE, blockBytes: 65_536 },
      { framed: true, maxUnsyncedBytes: 1024, blockBytes: 512 },
    ]) {
      const writer = await PortableWalWriter.open('file', { io, ...extreme });
      expect(writer.maxBatchBytes).toBe(
        extreme.maxBatchBytes ?? Math.min(1024 * 1024, extreme.maxPendingBytes ?? GIBIBYTE),
      );
      await writer.close();
    }
  });
});

describe.each(waiting)('wrong data on %s', (name) => {
  it('is refused with nothing appended', async () => {
    const { io, path } = fresh(name);
    const writer = PortableWalWriter.openSync(path, { io });
    for (const wrong of [
      7,
      null,
      undefined,
      {},
      [1, 2],
      new ArrayBuffer(4),
      new Uint16Array(2),
    ] as unknown as string[]) {
      await expect(writer.append(wrong)).rejects.toThrow(wrongType);
      await expect(writer.appendBatched(wrong)).rejects.toThrow(wrongType);
      await expect(writer.appendWithChecksum(wrong)).rejects.toThrow(wrongType);
      expect(() => writer.appendWithChecksumBatchedSync(wrong)).toThrow(wrongType);
    }
    await expect(writer.appendWithChecksum('')).rejects.toThrow(wrongRange);
    expect(() => writer.appendWithChecksumBatchedSync(new Uint8Array(0))).toThrow(wrongRange);
    const huge = new Uint8Array(GIBIBYTE + 1);
    await expect(writer.append(huge)).rejects.toThrow(
      failure('WAL_TOO_LARGE', { limit: GIBIBYTE, actual: huge.length }),
    );
    expect(writer.pendingBatchOps).toBe(0);
    expect(writer.size).toBe(0);
    writer.closeSync();
  });
});

describe('wrong arguments of readFrames', () => {
  it('are refused before anything is opened', () => {
    const read = (path: unknown, given?: object) => () => readFrames(path as string, given);
    expect(read(7)).toThrow(wrongType);
    expect(read('')).toThrow(wrongRange);
    expect(read('file', { blocks: 1 })).toThrow(wrongType);
    expect(read('file', { copy: 1 })).toThrow(wrongType);
    expect(read('file', { blockBytes: 100 })).toThrow(wrongRange);
    expect(read('file', { maxUnsyncedBytes: 100 })).toThrow(wrongRange);
    expect(() => [...readFrames('file', { io: 7 as unknown as 'auto' })]).toThrow(wrongType);
    expect(() => [...readFrames('file', { io: 'disk' as 'auto' })]).toThrow(wrongRange);
  });
});
