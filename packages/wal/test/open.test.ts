import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createMemoryStorageIo, createSyncFsStorageIo, MemoryDisk } from '@walstack/storage-io';
import { Wal, WalError, type WalOptions } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { textsOf } from './support/outcomes.js';

describe.each(BACKENDS)('on %s', (name, create) => {
  test('a new log is empty and running', async () => {
    await using io = create();
    const directory = directoryFor(io);
    await using wal = await Wal.open(directory, { io });
    expect(wal.path).toBe(directory);
    expect(wal.state).toBe('running');
    expect([wal.firstLsn, wal.lastLsn, wal.durableLsn]).toEqual([1, 0, 0]);
    expect(wal.failure).toBeUndefined();
    expect(wal.recovery).toMatchObject({ created: true, records: 0, lastLsn: 0 });
    expect(wal.stats().backend).toBe(name);
    expect(await textsOf(wal)).toEqual([]);
  });

  test('a closed log reopens with everything, as closed cleanly, and its LSNs continue', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const first = await Wal.open(directory, { io });
    await first.commit('one');
    first.append('two');
    await first.shutdown();

    await using again = await Wal.open(directory, { io });
    expect(again.recovery).toMatchObject({ created: false, cleanlyClosed: true, records: 2, firstLsn: 1, lastLsn: 2 });
    expect([again.firstLsn, again.lastLsn, again.durableLsn]).toEqual([1, 2, 2]);
    expect(await again.commit('three')).toBe(3);
    expect(await textsOf(again)).toEqual(['one', 'two', 'three']);
  });

  test('a log that has no event reopens empty', async () => {
    await using io = create();
    const directory = directoryFor(io);
    await (await Wal.open(directory, { io })).shutdown();
    await using again = await Wal.open(directory, { io });
    expect([again.firstLsn, again.lastLsn, again.durableLsn]).toEqual([1, 0, 0]);
    expect(again.recovery).toMatchObject({ created: false, cleanlyClosed: true, records: 0 });
  });

  test('a log that rolls from segment to segment reopens completely', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const payloads = Array.from({ length: 300 }, (_, index) => `event ${index + 1} `.padEnd(100, '.'));
    const wal = await Wal.open(directory, { io, segmentBytes: 4096, blockBytes: 512 });
    for (let at = 0; at < payloads.length; at += 50) {
      await Promise.all(payloads.slice(at, at + 50).map((payload) => wal.commit(payload)));
    }
    expect(wal.stats().rolls).toBeGreaterThan(5);
    await wal.shutdown();
    await using again = await Wal.open(directory, { io });
    expect(await textsOf(again)).toEqual(payloads);
  });

  test('firstLsn applies to a new log, and an existing log keeps its LSNs', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const wal = await Wal.open(directory, { io, firstLsn: 1000 });
    expect([wal.firstLsn, wal.lastLsn, wal.durableLsn]).toEqual([1000, 999, 999]);
    expect(await wal.commit('a')).toBe(1000);
    await wal.shutdown();
    await using again = await Wal.open(directory, { io, firstLsn: 5 });
    expect([again.firstLsn, again.lastLsn]).toEqual([1000, 1000]);
  });

  test('create: false creates nothing', async () => {
    await using io = create();
    const directory = directoryFor(io);
    expect(await rejection(Wal.open(directory, { io, create: false }))).toMatchObject({ code: 'WAL_NOT_FOUND' });
    expect(() => io.stat(directory)).toThrow(expect.objectContaining({ code: 'WAL_NOT_FOUND' }));
  });

  test('a log that is open cannot be opened a second time', async () => {
    await using io = create();
    const directory = directoryFor(io);
    await using wal = await Wal.open(directory, { io });
    const error = await rejection(Wal.open(directory, { io }));
    expect(error).toMatchObject({ code: 'WAL_LOCKED', holder: expect.any(String) });
    expect(await wal.commit('still its')).toBe(1);
  });
});

test('a copy of an open log has what was durable, and reports that it was not closed cleanly', async () => {
  await using io = createSyncFsStorageIo();
  const directory = temporaryDirectory();
  const path = join(directory, 'log');
  await using wal = await Wal.open(path, { io });
  await wal.commit('durable');
  const killed = join(directory, 'killed');
  cpSync(path, killed, { recursive: true });
  for (const name of readdirSync(killed).filter((each) => each.startsWith('LOCK'))) rmSync(join(killed, name));

  await using again = await Wal.open(killed, { io });
  expect(again.recovery).toMatchObject({ created: false, cleanlyClosed: false, records: 1 });
  expect(await textsOf(again)).toEqual(['durable']);
});

test('a backend given by name is disposed with the log, an instance is not', async () => {
  const directory = temporaryDirectory();
  await using named = await Wal.open(join(directory, 'named'), { io: 'sync-fs' });
  expect(named.stats().backend).toBe('sync-fs');
  await using io = createMemoryStorageIo({ disk: new MemoryDisk() });
  const given = await Wal.open('/given', { io });
  await given.commit('kept');
  await given.shutdown();
  await using again = await Wal.open('/given', { io });
  expect(await textsOf(again)).toEqual(['kept']);
});

test('without options a log is on the real disk', async () => {
  const path = join(temporaryDirectory(), 'a', 'b', 'log');
  const wal = await Wal.open(path);
  await wal.commit('there');
  await wal.shutdown();
  expect(existsSync(path)).toBe(true);
  await using again = await Wal.open(path);
  expect(await textsOf(again)).toEqual(['there']);
});

describe('a path that is not a log is rejected and left unchanged', () => {
  test('a file', async () => {
    const path = join(temporaryDirectory(), 'file');
    writeFileSync(path, 'mine');
    const error = await rejection(Wal.open(path));
    expect(error).toMatchObject({ code: 'WAL_BAD_HEADER', path });
  });

  test('a directory with other files', async () => {
    const path = temporaryDirectory();
    writeFileSync(join(path, 'notes.txt'), 'mine');
    expect(await rejection(Wal.open(path))).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', path });
    expect(readdirSync(path)).toEqual(['notes.txt']);
  });

  test('a directory below a file', async () => {
    const path = join(temporaryDirectory(), 'file');
    writeFileSync(path, 'mine');
    expect(await rejection(Wal.open(join(path, 'log')))).toMatchObject({
      code: 'WAL_IO_FAILED',
      cause: expect.any(Error),
    });
  });

  test('an empty directory, with create: false', async () => {
    const path = join(temporaryDirectory(), 'empty');
    mkdirSync(path);
    expect(await rejection(Wal.open(path, { create: false }))).toMatchObject({ code: 'WAL_NOT_FOUND' });
    expect(readdirSync(path)).toEqual([]);
  });
});

describe('wrong options are rejected before anything is created', () => {
  const cases: readonly (readonly [string, unknown, string])[] = [
    ['no object', 5, 'ERR_INVALID_ARG_TYPE'],
    ['null', null, 'ERR_INVALID_ARG_TYPE'],
    ['an unknown option', { flushDelay: 5 }, 'ERR_INVALID_ARG_TYPE'],
    ['the directory a second time', { directory: 'elsewhere' }, 'ERR_INVALID_ARG_TYPE'],
    ['flushDelayMs below 0', { flushDelayMs: -1 }, 'ERR_OUT_OF_RANGE'],
    ['flushDelayMs as text', { flushDelayMs: '10' }, 'ERR_INVALID_ARG_TYPE'],
    ['flushBytes 0', { flushBytes: 0 }, 'ERR_OUT_OF_RANGE'],
    ['flushBytes NaN', { flushBytes: Number.NaN }, 'ERR_OUT_OF_RANGE'],
    ['segmentBytes below two blocks', { segmentBytes: 4096 }, 'ERR_OUT_OF_RANGE'],
    ['blockBytes that is no power of two', { blockBytes: 5000 }, 'ERR_OUT_OF_RANGE'],
    ['maxPendingBytes 0', { maxPendingBytes: 0 }, 'ERR_OUT_OF_RANGE'],
    ['maxPayloadBytes above 1 GiB', { maxPayloadBytes: 2 ** 30 + 1 }, 'ERR_OUT_OF_RANGE'],
    ['markAfterMs fractional', { markAfterMs: 0.5 }, 'ERR_OUT_OF_RANGE'],
    ['firstLsn 0', { firstLsn: 0 }, 'ERR_OUT_OF_RANGE'],
    ['padGroups as text', { padGroups: 'yes' }, 'ERR_INVALID_ARG_TYPE'],
    ['create as text', { create: 'no' }, 'ERR_INVALID_ARG_TYPE'],
    ['a backend that does not exist', { io: 'floppy' }, 'ERR_OUT_OF_RANGE'],
    ['a backend that is none', { io: {} }, 'ERR_INVALID_ARG_TYPE'],
    ['setTimer that is no function', { setTimer: 5 }, 'ERR_INVALID_ARG_TYPE'],
    ['now that is no function', { now: 5 }, 'ERR_INVALID_ARG_TYPE'],
    ['randomBytes that is no function', { randomBytes: 5 }, 'ERR_INVALID_ARG_TYPE'],
  ];

  test.each(cases)('%s', async (_what, options, code) => {
    const path = join(temporaryDirectory(), 'log');
    const error = await rejection(Wal.open(path, options as WalOptions));
    expect(error).toMatchObject({ code });
    expect(WalError.is(error)).toBe(false);
    expect(existsSync(path)).toBe(false);
  });

  test.each([
    ['empty', '', 'ERR_OUT_OF_RANGE'],
    ['with a NUL', 'a\0b', 'ERR_OUT_OF_RANGE'],
    ['a number', 5, 'ERR_INVALID_ARG_TYPE'],
    ['missing', undefined, 'ERR_INVALID_ARG_TYPE'],
  ])('a path that is %s', async (_what, path, code) => {
    expect(await rejection(Wal.open(path as string))).toMatchObject({ code });
  });

  test('the message about an unknown option names the known ones', async () => {
    const error = await rejection(Wal.open('log', { flushDelay: 5 } as WalOptions));
    expect(error.message).toMatch(/flushDelay.*flushDelayMs/);
  });
});
