import { createMemoryStorageIo, type StorageIo } from '@walstack/storage-io';
import { type AppendOptions, Wal, WalError } from '@walstack/wal';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';
import { eventsOf, textsOf } from './support/outcomes.js';
import { StepDisk } from './support/step-disk.js';

describe.each(BACKENDS)('on %s', (_name, create) => {
  test('append, commit, durable, flush and sync assign LSNs from 1 on, and everything is read back', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const wal = await Wal.open(directory, { io });
    expect(wal.append('a')).toBe(1);
    expect([wal.lastLsn, wal.durableLsn]).toEqual([1, 0]);
    expect(await wal.commit('b')).toBe(2);
    expect(wal.durableLsn).toBe(2);
    expect(wal.append('c')).toBe(3);
    await wal.flush();
    expect(wal.durableLsn).toBe(2);
    await wal.durable(3);
    expect(wal.durableLsn).toBe(3);
    expect(wal.append('d')).toBe(4);
    await wal.sync();
    expect(wal.durableLsn).toBe(4);
    await wal.shutdown();
    await using again = await Wal.open(directory, { io });
    expect(await textsOf(again)).toEqual(['a', 'b', 'c', 'd']);
  });

  test('type, meta, scope, time and payload of an event are read back unchanged', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const time = new ManualTime();
    const wal = await Wal.open(directory, { io, ...time.options });
    time.time += 1234;
    wal.append(Uint8Array.of(0, 1, 255), {
      type: 0xffff_ffff,
      meta: 'kopf ✓',
      tenantId: 2n ** 64n - 1n,
      databaseId: 7,
      vshardId: 0xffff_ffff,
    });
    await wal.commit('grüße 🐘', { meta: Uint8Array.of(9) });
    await wal.shutdown();

    await using again = await Wal.open(directory, { io });
    const [first, second] = await eventsOf(again);
    expect(first).toEqual({
      lsn: 1,
      type: 0xffff_ffff,
      meta: new Uint8Array(Buffer.from('kopf ✓')),
      payload: Uint8Array.of(0, 1, 255),
      scope: { tenantId: 2n ** 64n - 1n, databaseId: 7n, vshardId: 0xffff_ffff },
      timestampMs: 1_700_000_001_234,
    });
    expect(second).toMatchObject({ lsn: 2, type: 0, meta: Uint8Array.of(9), scope: undefined });
    expect(text(second?.payload as Uint8Array)).toBe('grüße 🐘');
  });

  test('empty payloads, views into larger buffers and large payloads come back; text that UTF-8 cannot encode is rejected', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const large = Buffer.alloc(3 * 1024 * 1024, 'walstack');
    const view = Buffer.from('....inner....').subarray(4, 9);
    const payloads = ['', new Uint8Array(0), view, large];
    const wal = await Wal.open(directory, { io });
    expect(thrown(() => wal.append('half \ud800'))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    for (const payload of payloads) wal.append(payload);
    await wal.shutdown();
    await using again = await Wal.open(directory, { io });
    const found = (await eventsOf(again)).map(({ payload }) => Buffer.from(payload));
    expect(found.slice(0, 3).map(String)).toEqual(['', '', 'inner']);
    expect(found[3]?.equals(large)).toBe(true);
  });

  test('the payload and meta of append and commit are copied before the call returns', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io });
    const payload = Buffer.from('payload');
    const meta = Buffer.from('meta');
    wal.append(payload, { meta });
    const committed = wal.commit(payload, { meta });
    payload.fill('x');
    meta.fill('x');
    await committed;
    for (const event of await eventsOf(wal)) {
      expect([text(event.payload), text(event.meta)]).toEqual(['payload', 'meta']);
    }
  });
});

describe('what reaches the disk', () => {
  let disk: StepDisk;
  let wal: Wal;

  beforeEach(async () => {
    disk = new StepDisk();
    wal = await Wal.open(`${temporaryDirectory()}/log`, { io: disk.io, ...new ManualTime().options });
    disk.calls.length = 0;
  });

  afterEach(async () => {
    await wal.close();
    await disk.io.dispose();
  });

  test('append writes nothing', () => {
    wal.append('a');
    expect(disk.calls).toEqual([]);
    expect(wal.stats().pendingBytes).toBeGreaterThan(0);
  });

  test('flush writes once and syncs nothing', async () => {
    wal.append('a');
    wal.append('b');
    await wal.flush();
    expect(disk.calls).toEqual(['write']);
    expect([wal.lastLsn, wal.durableLsn]).toEqual([2, 0]);
    expect(wal.stats().pendingBytes).toBe(0);
  });

  test('sync writes once and syncs once', async () => {
    wal.append('a');
    wal.append('b');
    await wal.sync();
    expect(disk.calls).toEqual(['write', 'datasync']);
    expect(wal.durableLsn).toBe(2);
  });

  test('sync after a flush only syncs, and sync of nothing new does nothing', async () => {
    wal.append('a');
    await wal.flush();
    await wal.sync();
    expect(disk.calls).toEqual(['write', 'datasync']);
    await wal.sync();
    await wal.flush();
    expect(disk.calls).toEqual(['write', 'datasync']);
  });

  test('durable syncs what is not durable, and does not access the disk otherwise', async () => {
    const lsn = wal.append('a');
    await wal.durable(lsn);
    expect(wal.durableLsn).toBe(1);
    expect(disk.calls).toEqual(['write', 'datasync']);
    await wal.durable(lsn);
    expect(disk.calls).toEqual(['write', 'datasync']);
  });

  test('the last LSN of an empty log is durable', async () => {
    await wal.durable(wal.lastLsn);
    expect(disk.calls).toEqual([]);
  });

  test('a durable write replaces write and sync, if the backend supports it', async () => {
    const durableDisk = new StepDisk(true);
    const other = await Wal.open(`${temporaryDirectory()}/log`, { io: durableDisk.io });
    durableDisk.calls.length = 0;
    await other.commit('a');
    expect(durableDisk.calls).toEqual(['writeDurable']);
    other.append('b');
    await other.flush();
    await other.commit('c');
    expect(durableDisk.calls).toEqual(['writeDurable', 'write', 'write', 'datasync']);
    await other.shutdown();
    await durableDisk.io.dispose();
  });
});

describe('wrong input', () => {
  let io: StorageIo;
  let wal: Wal;

  beforeEach(async () => {
    io = createMemoryStorageIo();
    wal = await Wal.open('/log', { io, maxPayloadBytes: 1000 });
  });

  afterEach(async () => {
    expect([wal.lastLsn, wal.stats().records, wal.stats().pendingBytes]).toEqual([0, 0, 0]);
    await wal.shutdown();
    await io.dispose();
  });

  const cases: readonly (readonly [string, unknown, unknown, string])[] = [
    ['no payload', undefined, undefined, 'ERR_INVALID_ARG_TYPE'],
    ['null', null, undefined, 'ERR_INVALID_ARG_TYPE'],
    ['a number', 5, undefined, 'ERR_INVALID_ARG_TYPE'],
    ['an object', {}, undefined, 'ERR_INVALID_ARG_TYPE'],
    ['an array of bytes', [1, 2], undefined, 'ERR_INVALID_ARG_TYPE'],
    ['an ArrayBuffer', new ArrayBuffer(4), undefined, 'ERR_INVALID_ARG_TYPE'],
    ['a Uint16Array', new Uint16Array(4), undefined, 'ERR_INVALID_ARG_TYPE'],
    ['meta that is a number', 'x', { meta: 5 }, 'ERR_INVALID_ARG_TYPE'],
    ['options that are text', 'x', 'type', 'ERR_INVALID_ARG_TYPE'],
    ['options that are null', 'x', null, 'ERR_INVALID_ARG_TYPE'],
    ['an unknown option', 'x', { kind: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ['a type below 0', 'x', { type: -1 }, 'ERR_OUT_OF_RANGE'],
    ['a type of 33 bits', 'x', { type: 2 ** 32 }, 'ERR_OUT_OF_RANGE'],
    ['a type that is NaN', 'x', { type: Number.NaN }, 'ERR_OUT_OF_RANGE'],
    ['a type that is fractional', 'x', { type: 1.5 }, 'ERR_OUT_OF_RANGE'],
    ['a type as text', 'x', { type: '1' }, 'ERR_INVALID_ARG_TYPE'],
    ['a tenant below 0', 'x', { tenantId: -1n }, 'ERR_OUT_OF_RANGE'],
    ['a tenant of 65 bits', 'x', { tenantId: 2n ** 64n }, 'ERR_OUT_OF_RANGE'],
    ['a tenant that is no safe integer', 'x', { tenantId: 2 ** 60 }, 'ERR_OUT_OF_RANGE'],
    ['a shard of 33 bits', 'x', { vshardId: 2 ** 32 }, 'ERR_OUT_OF_RANGE'],
    ['a database as text', 'x', { databaseId: '1' }, 'ERR_INVALID_ARG_TYPE'],
    ['a payload that is too long', new Uint8Array(1001), undefined, 'WAL_TOO_LARGE'],
    ['text that is too long as UTF-8', 'é'.repeat(501), undefined, 'WAL_TOO_LARGE'],
    ['meta that is too long', 'x', { meta: new Uint8Array(65_536) }, 'WAL_TOO_LARGE'],
  ];

  test.each(cases)('append and commit reject %s, and nothing is appended', async (_what, payload, options, code) => {
    const error = thrown(() => wal.append(payload as string, options as AppendOptions));
    expect(error).toMatchObject({ code });
    expect(await rejection(wal.commit(payload as string, options as AppendOptions))).toMatchObject({ code });
    expect(WalError.is(error)).toBe(code.startsWith('WAL_'));
  });

  test('the error for a payload that is too long has its length and the limit', () => {
    expect(thrown(() => wal.append(new Uint8Array(1001)))).toMatchObject({ limit: 1000, actual: 1001 });
  });

  test.each([
    ['below 0', -1, 'ERR_OUT_OF_RANGE'],
    ['fractional', 0.5, 'ERR_OUT_OF_RANGE'],
    ['NaN', Number.NaN, 'ERR_OUT_OF_RANGE'],
    ['after the last one', 1, 'ERR_OUT_OF_RANGE'],
    ['a bigint', 1n, 'ERR_INVALID_ARG_TYPE'],
    ['text', '1', 'ERR_INVALID_ARG_TYPE'],
  ])('durable refuses an LSN that is %s', async (_what, lsn, code) => {
    expect(await rejection(wal.durable(lsn as number))).toMatchObject({ code });
  });
});

test('a payload of the longest length and meta of 65,535 bytes are accepted', async () => {
  await using io = createMemoryStorageIo();
  await using wal = await Wal.open('/log', { io, maxPayloadBytes: 1000 });
  await wal.commit(new Uint8Array(1000).fill(1), { meta: new Uint8Array(65_535).fill(2) });
  const [event] = await eventsOf(wal);
  expect([event?.payload.length, event?.meta.length]).toEqual([1000, 65_535]);
});
