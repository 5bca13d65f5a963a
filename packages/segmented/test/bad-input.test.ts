import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { createMemoryStorageIo, createSyncFsStorageIo, fromSyncFileOps } from '@walstack/storage-io';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { restore } from './support/files.js';
import { openIn } from './support/logs.js';

describe('a call', () => {
  let wal: SegmentedWal;

  beforeEach(() => {
    wal = SegmentedWal.openSync({ directory: '/log', io: createMemoryStorageIo(), maxPayloadBytes: 1000 });
    for (let lsn = 1; lsn <= 10; lsn++) wal.append(`${lsn}`);
  });

  afterEach(() => {
    expect(wal.nextLsn, 'nothing was appended').toBe(11);
    wal.closeSync();
  });

  const typeError = (error: object) =>
    expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', ...error });
  const rangeError = expect.objectContaining({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });

  test.each([undefined, null, 7, 7n, {}, [1], new ArrayBuffer(8), new Uint16Array(4), true])(
    'refuses the payload %s',
    (payload) => {
      expect(() => wal.append(payload as never)).toThrow(typeError({}));
      expect(() => wal.append('x', { meta: (payload ?? 0) as never })).toThrow(typeError({}));
    },
  );

  test.each([undefined, '1', null])('refuses %s as an LSN that was submitted', (lsn) => {
    expect(() => wal.checkCompletions(lsn as never)).toThrow(typeError({}));
  });

  test('refuses what is too large, with the figures', () => {
    expect(() => wal.append(new Uint8Array(1001))).toThrow(
      expect.objectContaining({ code: 'WAL_TOO_LARGE', actual: 1001, limit: 1000 }),
    );
    expect(() => wal.append('ä'.repeat(501))).toThrow(expect.objectContaining({ code: 'WAL_TOO_LARGE', actual: 1002 }));
    expect(() => wal.append('', { meta: new Uint8Array(65_536) })).toThrow(
      expect.objectContaining({ code: 'WAL_TOO_LARGE', actual: 65_536, limit: 65_535 }),
    );
  });

  test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -(2 ** 40)])(
    'refuses the number %d',
    async (value) => {
      for (const option of ['type', 'tenantId', 'databaseId', 'vshardId']) {
        expect(() => wal.append('x', { [option]: value })).toThrow(rangeError);
      }
      expect(() => wal.replayFrom(value)).toThrow(rangeError);
      for (const call of ['truncateBefore', 'truncateAfter', 'resetTo', 'checkpoint'] as const) {
        await expect(wal[call](value)).rejects.toEqual(rangeError);
        expect(() => wal[`${call}Sync`](value)).toThrow(rangeError);
      }
      await expect(wal.hold('reader', value)).rejects.toEqual(rangeError);
      expect(() => wal.holdSync('reader', value)).toThrow(rangeError);
      expect(() => wal.replayFromLimitSync(1, value)).toThrow(rangeError);
      expect(() => wal.replayFromLimitSync(value, 1)).toThrow(rangeError);
    },
  );

  test('refuses ids that are too wide, LSN 0, and an LSN behind the next one', () => {
    expect(() => wal.append('x', { type: 2 ** 32 })).toThrow(rangeError);
    expect(() => wal.append('x', { vshardId: 2n ** 32n })).toThrow(rangeError);
    expect(() => wal.append('x', { tenantId: 2n ** 64n })).toThrow(rangeError);
    expect(() => wal.append('x', { databaseId: -1n })).toThrow(rangeError);
    expect(() => wal.replayFrom(0)).toThrow(rangeError);
    expect(() => wal.replayFrom(12)).toThrow(rangeError);
    expect(() => wal.truncateBeforeSync(12)).toThrow(rangeError);
    expect(() => wal.truncateAfterSync(11)).toThrow(rangeError);
    expect(() => wal.resetToSync(0)).toThrow(rangeError);
    expect(() => wal.checkpointSync(11)).toThrow(rangeError);
    expect(() => wal.holdSync('reader', 0)).toThrow(rangeError);
    expect(() => wal.holdSync('reader', 12)).toThrow(rangeError);
    expect([...wal.replayFrom(11)]).toEqual([]);
    expect([wal.lastLsn, wal.checkpointLsn, wal.holds]).toEqual([10, 0, {}]);
  });

  test('refuses an LSN that is no number, and names that no hold can have', async () => {
    for (const value of ['1', 1n, null, undefined, {}]) {
      for (const call of ['truncateAfterSync', 'resetToSync', 'checkpointSync'] as const) {
        expect(() => wal[call](value as never)).toThrow(typeError({}));
      }
      expect(() => wal.holdSync('reader', value as never)).toThrow(typeError({}));
    }
    for (const name of [7, null, undefined, {}, Symbol('x')]) {
      expect(() => wal.holdSync(name as never, 1)).toThrow(typeError({}));
      expect(() => wal.releaseHoldSync(name as never)).toThrow(typeError({}));
    }
    for (const name of ['', 'x'.repeat(129)]) {
      await expect(wal.hold(name, 1)).rejects.toEqual(rangeError);
      await expect(wal.releaseHold(name)).rejects.toEqual(rangeError);
      expect(() => wal.holdSync(name, 1)).toThrow(rangeError);
      expect(() => wal.releaseHoldSync(name)).toThrow(rangeError);
    }
  });

  test('refuses an option that it does not know', () => {
    expect(() => wal.append('x', { metadata: 'x' } as never)).toThrow(
      typeError({ message: expect.stringContaining('metadata') }),
    );
    expect(() => wal.replay({ copies: true } as never)).toThrow(typeError({}));
    expect(() => wal.append('x', null as never)).toThrow(typeError({}));
  });
});

describe('a configuration', () => {
  const open = (config: object): SegmentedWal =>
    SegmentedWal.openSync({ directory: '/log', io: createMemoryStorageIo(), ...config } as SegmentedWalConfig);

  test.each([
    ['directory', 7],
    ['create', 'yes'],
    ['io', 7],
    ['io', {}],
    ['segmentBytes', '64'],
    ['padGroups', 1],
    ['maxPendingBytes', null],
    ['now', 5],
    ['setTimer', {}],
    ['randomBytes', 'x'],
    ['retainBytes', '1'],
    ['retainAgeMs', 5n],
    ['retainUntilCheckpoint', 1],
    ['recoveryMode', 1],
    ['salvageLsn', '1'],
    ['salvageLsn', [1, '2']],
    ['lockTimeoutMs', '1'],
    ['preallocate', null],
    ['preallocate', false],
    ['recycleSegments', null],
    ['recycleSegments', false],
    ['recycleSegments', ''],
    ['segmentSize', 1],
  ])('with %s = %s is refused, naming the option', (option, value) => {
    expect(() => open({ [option]: value })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', message: expect.stringContaining(option) }),
    );
  });

  test.each([
    ['directory', ''],
    ['directory', 'a\0b'],
    ['io', 'io-ring'],
    ['segmentBytes', 4096],
    ['segmentBytes', 10_000.5],
    ['blockBytes', 256],
    ['blockBytes', 1000],
    ['blockBytes', 131_072],
    ['maxPayloadBytes', -1],
    ['maxPendingBytes', 0],
    ['markAfterMs', -1],
    ['firstLsn', 0],
    ['retainBytes', -1],
    ['retainAgeMs', 1.5],
    ['recoveryMode', 'read-only'],
    ['salvageLsn', 0],
    ['salvageLsn', [1, 0]],
    ['lockTimeoutMs', -1],
    ['lockTimeoutMs', 2 ** 31],
    ['preallocate', ''],
    ['preallocate', 'some'],
    ['recycleSegments', Number.NaN],
    ['recycleSegments', -1],
  ])('with %s = %s is out of range, naming the option', (option, value) => {
    expect(() => open({ [option]: value })).toThrow(
      expect.objectContaining({
        code: 'ERR_OUT_OF_RANGE',
        message: expect.stringContaining(option === 'io' ? '' : option),
      }),
    );
  });

  test('is an object', () => {
    for (const config of [undefined, null, 'dir', []]) {
      expect(() => SegmentedWal.openSync(config as never)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
      );
    }
  });
});

describe('a place', () => {
  test('with nothing is WAL_NOT_FOUND with create: false, and nothing is made', () => {
    const parent = temporaryDirectory();
    const directory = join(parent, 'missing', 'log');
    expect(() => SegmentedWal.openSync({ directory, create: false })).toThrow(
      expect.objectContaining({ code: 'WAL_NOT_FOUND', path: directory }),
    );
    mkdirSync(join(parent, 'empty'));
    expect(() => SegmentedWal.openSync({ directory: join(parent, 'empty'), create: false })).toThrow(
      expect.objectContaining({ code: 'WAL_NOT_FOUND' }),
    );
    expect(readdirSync(parent)).toEqual(['empty']);
    expect(readdirSync(join(parent, 'empty'))).toEqual([]);
  });

  test('with other files is no place for a log, and left as it is', () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'thesis.tex'), 'x');
    expect(() => SegmentedWal.openSync({ directory })).toThrow(
      expect.objectContaining({ code: 'WAL_FOREIGN_DIRECTORY', message: expect.stringContaining('thesis.tex') }),
    );
    expect(readdirSync(directory)).toEqual(['thesis.tex']);
  });

  test('that is a file is WAL_BAD_HEADER', () => {
    const path = join(temporaryDirectory(), 'file');
    writeFileSync(path, 'x');
    expect(() => SegmentedWal.openSync({ directory: path })).toThrow(
      expect.objectContaining({ code: 'WAL_BAD_HEADER', path }),
    );
    expect(() => SegmentedWal.openSync({ directory: join(path, 'log') })).toThrow(
      expect.objectContaining({ code: 'WAL_IO_FAILED', systemCode: 'ENOTDIR' }),
    );
  });

  test('without permission is WAL_IO_FAILED with the cause', () => {
    const denied = Object.assign(new Error('denied'), { code: 'EACCES' });
    const refuse = (): never => {
      throw denied;
    };
    const io = fromSyncFileOps({
      name: 'denied',
      realFiles: false,
      open: refuse,
      close: refuse,
      size: refuse,
      list: refuse,
      rename: refuse,
      makeDirectory: refuse,
      stat: () => ({ kind: 'directory', size: 0 }),
      lock: refuse,
      read: refuse,
      write: refuse,
      datasync: refuse,
      truncate: refuse,
      remove: refuse,
      syncDirectory: refuse,
    });
    expect(() => SegmentedWal.openSync({ directory: '/log', io })).toThrow(
      expect.objectContaining({ code: 'WAL_IO_FAILED', systemCode: 'EACCES', cause: denied }),
    );
  });

  test('with a file that only looks like a segment is refused', () => {
    const name = 'wal-0000000001-00000000000000000001.seg';
    for (const bytes of [new Uint8Array(), new Uint8Array(50), new Uint8Array(8192), new Uint8Array(8192).fill(7)]) {
      expect(() => openIn(restore(new Map([[name, bytes]])))).toThrow(
        expect.objectContaining({ code: 'WAL_CORRUPT', path: `/log/${name}`, reason: 'header' }),
      );
    }
  });
});

describe('in the wrong state', () => {
  test('every call is WAL_CLOSED after close, naming the state', async () => {
    const io = createSyncFsStorageIo();
    const wal = SegmentedWal.openSync({ directory: join(temporaryDirectory(), 'log'), io });
    wal.append('x');
    wal.closeSync();
    wal.closeSync();
    await wal.close();
    const closed = expect.objectContaining({ code: 'WAL_CLOSED', state: 'closed' });
    expect(() => wal.append('x')).toThrow(closed);
    expect(() => wal.syncSync()).toThrow(closed);
    expect(() => wal.flushSync()).toThrow(closed);
    expect(() => wal.replay()).toThrow(closed);
    // Also behind the end, where no file would be read.
    for (const lsn of [1, 2]) {
      expect(() => wal.readSync(lsn)).toThrow(closed);
      await expect(wal.read(lsn)).rejects.toEqual(closed);
    }
    expect(() => wal.truncateBeforeSync(1)).toThrow(closed);
    expect(() => wal.truncateAfterSync(1)).toThrow(closed);
    expect(() => wal.resetToSync(1)).toThrow(closed);
    expect(() => wal.checkpointSync(1)).toThrow(closed);
    expect(() => wal.holdSync('reader', 1)).toThrow(closed);
    expect(() => wal.releaseHoldSync('reader')).toThrow(closed);
    await expect(wal.truncateAfter(1)).rejects.toEqual(closed);
    await expect(wal.releaseHold('reader')).rejects.toEqual(closed);
    expect(() => wal.replayFromLimitSync(1, 1)).toThrow(closed);
    await expect(wal.sync()).rejects.toEqual(closed);
    await expect(wal.flush()).rejects.toEqual(closed);
    expect(wal.stats().records).toBe(1);
    expect(wal.listSegments()).toHaveLength(1);
    await io.dispose();
  });

  test('append beyond maxPendingBytes is WAL_BACKPRESSURE with nothing appended, until something is written', () => {
    const io = createMemoryStorageIo();
    const wal = SegmentedWal.openSync({ directory: '/log', io, maxPendingBytes: 1000 });
    expect(wal.append(new Uint8Array(5000))).toBe(1);
    expect(() => wal.append('x')).toThrow(expect.objectContaining({ code: 'WAL_BACKPRESSURE', limit: 1000 }));
    wal.flushSync();
    for (let lsn = 2; lsn <= 11; lsn++) expect(wal.append(new Uint8Array(60))).toBe(lsn);
    expect(() => wal.append(new Uint8Array(60))).toThrow(expect.objectContaining({ code: 'WAL_BACKPRESSURE' }));
    expect(wal.pendingBytes).toBeLessThanOrEqual(1000);
    wal.syncSync();
    expect(wal.pendingBytes).toBe(0);
    expect(wal.append('x')).toBe(12);
    wal.closeSync();
  });

  test('the scope of a record counts as pending', () => {
    const io = createMemoryStorageIo();
    const options = { tenantId: 7n };
    const unlimited = SegmentedWal.openSync({ directory: '/unlimited', io });
    unlimited.append('payload', options);
    const { pendingBytes } = unlimited;
    unlimited.append('payload', options);
    const both = unlimited.pendingBytes;
    expect(both).toBeGreaterThan(pendingBytes);
    unlimited.closeSync();
    for (const [maxPendingBytes, fits] of [
      [both, true],
      [both - 1, false],
    ] as const) {
      const wal = SegmentedWal.openSync({ directory: `/${maxPendingBytes}`, io, maxPendingBytes });
      wal.append('payload', options);
      const second = () => wal.append('payload', options);
      if (fits) expect(second()).toBe(2);
      else expect(second).toThrow(expect.objectContaining({ code: 'WAL_BACKPRESSURE', limit: maxPendingBytes }));
      wal.closeSync();
    }
  });
});
