import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { KeyRing, WalError } from '@walstack/codec';
import { LogTail, replayDirectory } from '@walstack/mmap-reader';
import { Batch, SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { BACKENDS } from './support/environments.js';
import { changed, cut, restore, sameFiles, segmentNames, snapshot } from './support/files.js';
import { DIRECTORY, make, openIn, recordsOf, texts } from './support/logs.js';

const CONFIG = { segmentBytes: 2048 };
const READONLY = { ...CONFIG, recoveryMode: 'readonly' } as const;

/** A backend whose files can be read, and nothing else. */
function writableByNobody(io: StorageIo): StorageIo {
  const refuse = (path: string): never => {
    throw new WalError('WAL_IO_FAILED', 'the file system is read-only', { path, systemCode: 'EROFS' });
  };
  const open: StorageIo['open'] = (path, options) => (options?.readOnly ? io.open(path, options) : refuse(path));
  return withCalls(io, { open, lock: refuse });
}

/** A backend with other calls in place of some. */
function withCalls(io: StorageIo, calls: Partial<StorageIo>): StorageIo {
  return new Proxy(io, {
    get(target, name) {
      const value: unknown = Reflect.get(name in calls ? calls : target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe("recoveryMode 'readonly'", () => {
  test('gives what is there, and changes nothing, torn tail and leftovers included', () => {
    const made = make({ groups: Array.from({ length: 20 }, () => [250]), unsynced: [100, 100], config: CONFIG });
    const name = segmentNames(made.files).at(-1) as string;
    const torn = recordsOf(made.files.get(name) as Uint8Array).at(-1)?.end as number;
    const files = new Map([...changed(made.files, name, cut(torn - 10)), ['next.seg', new Uint8Array(100)]]);
    const io = restore(files);
    const wal = openIn(io, READONLY);
    expect(wal.recovery).toMatchObject({ mode: 'readonly', reason: 'torn-tail', records: 21, lastLsn: 21 });
    expect(wal.recovery.cutBytes).toBeGreaterThan(0);
    // Only what a later frame proves is known to be durable.
    expect(wal.durableLsn).toBe(20);
    expect(texts(wal.replay())).toEqual(made.payloads.slice(1, 22));
    expect(wal.replayFromLimitSync(7, 2).records.map(({ lsn }) => lsn)).toEqual([7, 8]);
    wal.flushSync();
    wal.syncSync();
    // As with the other forms, this sync waits for nothing.
    expect(wal.checkCompletions(wal.submitSync())).toBe(true);
    wal.closeSync();
    expect(sameFiles(snapshot(io, DIRECTORY), files)).toBe(true);
    expect(io.list(DIRECTORY)).not.toContain('LOCK');
  });

  test('reads files that cannot be written, and so do replays and tails', () => {
    const made = make({ groups: Array.from({ length: 20 }, () => [250]), config: CONFIG });
    const io = writableByNobody(restore(made.files));
    const wal = openIn(io, READONLY);
    expect(texts(wal.replay())).toEqual(made.payloads.slice(1));
    wal.closeSync();
    expect([...replayDirectory(DIRECTORY, { io })]).toHaveLength(20);
    using tail = new LogTail(io, DIRECTORY);
    tail.advanceSync();
    expect(tail.next()?.lsn).toBe(1);
    expect(() => openIn(io, CONFIG)).toThrow(expect.objectContaining({ systemCode: 'EROFS' }));
  });

  test('reads again where files are gone that a writer beside it has removed, each another one', () => {
    const { files, lastLsn } = make({ groups: Array.from({ length: 20 }, () => [250]), config: CONFIG });
    const io = restore(files);
    const gone = segmentNames(files).slice(0, 2);
    const open: StorageIo['open'] = (path, options) => {
      if (!path.endsWith(gone[0] ?? '/')) return io.open(path, options);
      gone.shift();
      throw new WalError('WAL_NOT_FOUND', 'there is no such file', { path });
    };
    expect(openIn(withCalls(io, { open }), READONLY).lastLsn).toBe(lastLsn);
    expect(gone).toEqual([]);
  });

  test('refuses whatever would change the log, and says why', async () => {
    const io = restore(make({ groups: [[10], [20]] }).files);
    const wal = openIn(io, READONLY);
    const refused = expect.objectContaining({ code: 'WAL_STATE', state: 'readonly' });
    const batch = new Batch();
    batch.add('x');
    expect(() => wal.append('x')).toThrow(refused);
    expect(() => wal.appendBatch(batch)).toThrow(refused);
    expect(() => wal.throwIfFull()).toThrow(refused);
    expect(() => wal.truncateBeforeSync(2)).toThrow(refused);
    expect(() => wal.truncateAfterSync(1)).toThrow(refused);
    expect(() => wal.resetToSync(9)).toThrow(refused);
    expect(() => wal.checkpointSync(1)).toThrow(refused);
    expect(() => wal.holdSync('a', 1)).toThrow(refused);
    expect(() => wal.releaseHoldSync('a')).toThrow(refused);
    await expect(wal.truncateBefore(2)).rejects.toEqual(refused);
    await expect(wal.truncateAfter(1)).rejects.toEqual(refused);
    await expect(wal.resetTo(9)).rejects.toEqual(refused);
    await expect(wal.checkpoint(1)).rejects.toEqual(refused);
    await expect(wal.hold('a', 1)).rejects.toEqual(refused);
    await expect(wal.releaseHold('a')).rejects.toEqual(refused);
    expect(texts(wal.replay())).toHaveLength(2);
    await wal.sync();
    await wal.close();
    await expect(wal.checkpoint(1)).rejects.toMatchObject({ code: 'WAL_CLOSED' });
  });

  test('makes no log where there is none', () => {
    const io = createMemoryStorageIo();
    expect(() => openIn(io, READONLY)).toThrow(expect.objectContaining({ code: 'WAL_NOT_FOUND' }));
    io.makeDirectory(DIRECTORY);
    expect(() => openIn(io, READONLY)).toThrow(expect.objectContaining({ code: 'WAL_NOT_FOUND' }));
    expect(io.list(DIRECTORY)).toEqual([]);
  });
});

describe.each(BACKENDS)('beside a writer on %s', (_name, create) => {
  test('reads what had been handed over when it was opened', async () => {
    const io = create();
    const directory = directoryFor(io);
    const config = { directory, io, segmentBytes: 4096, blockBytes: 512 };
    const writer = await SegmentedWal.open(config);
    for (let lsn = 1; lsn <= 50; lsn++) writer.append(new Uint8Array(200).fill(lsn));
    await writer.sync();
    await writer.hold('reader', 10);
    const reader = await SegmentedWal.open({ ...config, recoveryMode: 'readonly' });
    expect([reader.firstLsn, reader.lastLsn, reader.holds]).toEqual([1, 50, { reader: 10 }]);
    for (let lsn = 51; lsn <= 80; lsn++) writer.append(new Uint8Array(200).fill(lsn));
    await writer.sync();
    let expected = 1;
    for await (const { lsn, payload } of reader.replay()) {
      expect([lsn, payload[0]]).toEqual([expected, expected]);
      expected++;
    }
    expect(expected).toBe(51);
    await writer.releaseHold('reader');
    await writer.truncateBefore(40);
    await expect(reader.replay().forEach(() => {})).rejects.toMatchObject({ code: 'WAL_TRUNCATED' });
    await reader.close();
    await writer.close();
    await io.dispose();
  });
});

test('a reader in the middle of everything that a writer does finds a log each time', async () => {
  const io = createSyncFsStorageIo();
  const directory = join(temporaryDirectory(), 'log');
  const library = import.meta.resolve('@walstack/segmented');
  const script = `import { SegmentedWal } from ${JSON.stringify(library)};
    const directory = ${JSON.stringify(directory)};
    for (let life = 0; life < 4; life++) {
      const wal = SegmentedWal.openSync({ directory, io: 'sync-fs', segmentBytes: 16384, recycleSegments: 2, preallocate: 'write' });
      for (let group = 0; group < 250; group++) {
        for (let record = 0; record < 5; record++) wal.append(String(wal.nextLsn).padEnd(300));
        wal.syncSync();
        if (group % 50 === 49) wal.truncateBeforeSync(wal.nextLsn - 100);
      }
      if (life % 2 === 0) wal.closeSync();
      else process.exitCode = 0;
    }`.replace('else process.exitCode = 0;', 'else wal.closeSync();');
  SegmentedWal.openSync({ directory, io }).closeSync();
  const writer = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
  const ended = new Promise<number | null>((resolve) => writer.on('exit', resolve));
  let running = true;
  void ended.then(() => {
    running = false;
  });
  let opened = 0;
  while (running) {
    const reader = SegmentedWal.openSync({ directory, io, recoveryMode: 'readonly' });
    let lsn = reader.firstLsn;
    try {
      for (const record of reader.replay()) {
        if (record.lsn !== lsn++ || Buffer.from(record.payload).toString().trim() !== String(record.lsn)) {
          throw new Error(`LSN ${record.lsn} is ${record.payload.length} bytes`);
        }
      }
      expect(lsn).toBe(reader.nextLsn);
    } catch (error) {
      expect(error).toMatchObject({ code: 'WAL_TRUNCATED' });
    }
    reader.closeSync();
    opened++;
    await new Promise(setImmediate);
  }
  expect(await ended).toBe(0);
  expect(opened).toBeGreaterThan(0);
});

describe('beside a writer that uses segment files again', () => {
  const config = { ...CONFIG, blockBytes: 512, recycleSegments: 4 };
  const keyRing = KeyRing.of({ id: 1, key: new Uint8Array(32).fill(1) });
  const fill = (wal: SegmentedWal): void => {
    for (let count = 0; count < 20; count++) {
      wal.append(String(wal.nextLsn).padEnd(250, '.'));
      wal.syncSync();
    }
  };

  test.each([
    ['in the clear', {}],
    ['encrypted', { keyRing }],
  ])('a file that is reused after any of the calls that open it is listed again: %s', (_what, more) => {
    for (let which = 1; ; which++) {
      const io = createMemoryStorageIo();
      const writer = openIn(io, { ...config, ...more });
      fill(writer);
      const real = io.open.bind(io);
      let calls = 0;
      let armed = true;
      const open: StorageIo['open'] = (...args) => {
        const file = real(...args);
        if (armed && ++calls === which) {
          armed = false;
          fill(writer);
          writer.truncateBeforeSync(writer.lastLsn);
          fill(writer);
          armed = true;
        }
        return file;
      };
      Object.defineProperty(io, 'open', { value: open });
      const reader = openIn(io, { ...READONLY, blockBytes: 512, ...more });
      armed = false;
      const { firstLsn, lastLsn } = reader.recovery;
      const expected = Array.from({ length: lastLsn - firstLsn + 1 }, (_, index) =>
        String(firstLsn + index).padEnd(250, '.'),
      );
      expect(texts(reader.replay())).toEqual(expected);
      reader.closeSync();
      expect(writer.stats().recycled > 0 || calls < which).toBe(true);
      if (calls < which) return;
    }
  });
});
