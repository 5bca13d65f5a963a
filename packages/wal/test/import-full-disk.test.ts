import type { StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { type ImportReport, Wal, WalError } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { BACKENDS_WITHOUT_ROOM, withoutRoom } from './support/full-disk.js';
import { textsOf, watch } from './support/outcomes.js';

/** Records are imported into a log whose disk is full. */

const COUNT = 60;
const payloadOf = (number: number): string => `event ${number} `.padEnd(300, 'abc');
const numbersIn = async (wal: Wal): Promise<number[]> =>
  (await textsOf(wal)).map((payload) => Number(payload.split(' ')[1]));
const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe.each(BACKENDS_WITHOUT_ROOM)('on %s', (_name, kind) => {
  /** A log whose disk is full once an import has reported a group or two, beside the log that is imported. */
  async function besideSource(maxPendingBytes?: number) {
    const elsewhere = new SimulatedDisk().createStorageIo();
    const source = await Wal.open('/source', { io: elsewhere });
    for (const number of numbers(1, COUNT)) source.append(payloadOf(number));
    await source.shutdown();
    const disk = new SimulatedDisk();
    const time = new ManualTime();
    const options = {
      ...withoutRoom(time),
      ...(maxPendingBytes === undefined ? {} : { maxPendingBytes }),
    };
    const wal = await Wal.open('/log', { io: disk.createStorageIo(kind), ...options });
    const reports: ImportReport[] = [];
    const begin = (from: number, signal?: AbortSignal) =>
      watch(
        wal.importFrom('/source', {
          io: elsewhere,
          from,
          groupBytes: 3000,
          ...(signal === undefined ? {} : { signal }),
          onProgress: (report) => {
            reports.push(report);
            if (reports.length === 2) disk.capacityBytes = disk.usedBytes;
          },
        }),
      );
    const openAgain = async () => {
      disk.failWhen(undefined);
      disk.capacityBytes = Number.POSITIVE_INFINITY;
      return await Wal.open('/log', { io: disk.crash().createStorageIo(kind), ...options });
    };
    return { disk, time, wal, begin, reports, openAgain, elsewhere };
  }

  async function ended(importing: { readonly state: string }): Promise<void> {
    for (let waited = 0; importing.state === 'pending' && waited < 100; waited++) await turns(10);
  }

  test.each([
    ['that waits for a group', undefined],
    ['that waits for room in memory', 2500],
  ])('an import %s ends, and goes on behind what it has appended when there is room', async (_what, pending) => {
    const { disk, wal, begin, reports } = await besideSource(pending);
    const importing = begin(1);
    await ended(importing);
    const reported = reports.at(-1)?.sourceLsn as number;
    const error = importing.error as WalError;
    expect(error).toMatchObject({ code: 'WAL_NO_SPACE', systemCode: 'ENOSPC', path: '/source', lsn: reported });
    const { lastLsn, message } = error as { lastLsn: number; message: string };
    expect([wal.state, wal.lastLsn]).toEqual(['running', lastLsn]);
    expect(lastLsn).toBeGreaterThan(reported);
    expect(error.reason).toBe('outcome-unknown');
    expect(message).toContain(`go on with from: ${lastLsn + 1}; in a log that was closed before go on with`);
    expect(message).toContain(`go on with from: ${reported + 1}`);

    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await wal.sync();
    const further = begin(lastLsn + 1);
    await ended(further);
    expect(further.error).toBeUndefined();
    expect(await numbersIn(wal)).toEqual(numbers(1, COUNT));
    expect(wal.durableLsn).toBe(COUNT);
    await wal.shutdown();
  });

  test('an import into a log that is closed then goes on behind what was reported', async () => {
    const { wal, begin, reports, openAgain, elsewhere } = await besideSource();
    const importing = begin(1);
    await ended(importing);
    const { lsn, lastLsn } = importing.error as { lsn: number; lastLsn: number };
    expect(lsn).toBe(reports.at(-1)?.sourceLsn);
    await wal.close({ discard: true });
    const again = await openAgain();
    // What was not durable may be there in part: up to one group is imported twice.
    expect(again.lastLsn).toBeGreaterThanOrEqual(lsn);
    expect(again.lastLsn).toBeLessThanOrEqual(lastLsn);
    const kept = again.lastLsn;
    await again.importFrom('/source', { io: elsewhere, from: lsn + 1 });
    expect(await numbersIn(again)).toEqual([...numbers(1, kept), ...numbers(lsn + 1, COUNT)]);
    await again.close();
  });

  test('an import says where it goes on in a log that fails for want of room', async () => {
    const { disk, wal, begin, reports, openAgain, elsewhere } = await besideSource();
    const importing = begin(1);
    while (reports.length < 2) await turns(1);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    let writes = 1;
    disk.failWhen(({ kind: operation }) =>
      operation === 'datasync' || (/write/.test(operation) && --writes >= 0) ? 'ENOSPC' : undefined,
    );
    await ended(importing);
    await goesOn(importing.error, reports, openAgain, elsewhere);
    const { message } = importing.error as WalError;
    expect([wal.failure?.code, message.includes('open the log again')]).toEqual(['WAL_NO_SPACE', true]);
  });

  test('an import says where it goes on while a log is shut down without room', async () => {
    for (let after = 0; after < 8; after++) {
      const { wal, begin, reports, openAgain, elsewhere } = await besideSource();
      const importing = begin(1);
      while (reports.length < 2) await turns(1);
      await turns(after);
      const closing = watch(wal.shutdown());
      await ended(importing);
      await ended(closing);
      await goesOn(importing.error, reports, openAgain, elsewhere);
    }
  });

  test('an import that is aborted says what it has appended, and what waits for room', async () => {
    const { disk, wal, elsewhere: io } = await besideSource();
    const source = await Wal.open('/segments', { io, segmentBytes: 8192 });
    for (const number of numbers(1, COUNT)) source.append(payloadOf(number));
    await source.shutdown();
    disk.capacityBytes = disk.usedBytes;
    const stop = new AbortController();
    const matches = ({ lsn }: { lsn: number }): boolean => {
      if (lsn === 20) stop.abort();
      return true;
    };
    const importing = watch(wal.importFrom('/segments', { io, matches, signal: stop.signal }));
    await ended(importing);
    const { lastLsn } = importing.error as { lastLsn: number };
    expect(importing.error).toMatchObject({ code: 'WAL_NO_SPACE', lsn: 0, reason: 'outcome-unknown' });
    expect([lastLsn >= 20, lastLsn < COUNT, wal.lastLsn]).toEqual([true, true, lastLsn]);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await wal.sync();
    await wal.importFrom('/segments', { io, from: lastLsn + 1 });
    expect(await numbersIn(wal)).toEqual(numbers(1, COUNT));
    await wal.shutdown();
  });

  /** The error of an import names the last record of the source that was reported, and what is behind that can be imported. */
  async function goesOn(
    error: unknown,
    reports: readonly ImportReport[],
    openAgain: () => Promise<Wal>,
    io: StorageIo,
  ): Promise<void> {
    const lsn = reports.at(-1)?.sourceLsn as number;
    expect(error).toMatchObject({ code: expect.stringMatching('WAL_NO_SPACE|WAL_CLOSED'), path: '/source', lsn });
    const again = await openAgain();
    const kept = again.lastLsn;
    await again.importFrom('/source', { io, from: lsn + 1 });
    expect(await numbersIn(again)).toEqual([...numbers(1, kept), ...numbers(lsn + 1, COUNT)]);
    await again.close();
  }

  test('an import that is aborted, or whose source cannot be read, does not wait for room', async () => {
    const { disk, wal, begin, reports, elsewhere } = await besideSource();
    const stop = new AbortController();
    const importing = begin(1, stop.signal);
    while (reports.length < 2) await turns(1);
    stop.abort();
    await ended(importing);
    expect(importing.error).toMatchObject({ lsn: reports.at(-1)?.sourceLsn });
    expect(['WAL_NO_SPACE', 'WAL_ABORTED']).toContain((importing.error as WalError).code);

    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await wal.sync();
    disk.capacityBytes = disk.usedBytes;
    const matches = ({ lsn }: { lsn: number }): boolean => {
      if (lsn === 9) throw new Error('not this one');
      return true;
    };
    const other = watch(wal.importFrom('/source', { io: elsewhere, matches }));
    await ended(other);
    expect(other.error).toMatchObject({ message: 'not this one' });
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await wal.shutdown();
  });
});

test.each(['onProgress', 'matches'] as const)(
  'an error of %s is not that of the log, whatever its code is',
  async (call) => {
    for (const code of ['WAL_NO_SPACE', 'WAL_CLOSED'] as const) {
      const io = new SimulatedDisk().createStorageIo();
      const source = await Wal.open('/source', { io });
      for (const number of numbers(1, 10)) source.append(payloadOf(number));
      await source.shutdown();
      const wal = await Wal.open('/log', { io });
      const thrown = new WalError(code, 'of something else');
      const closing: Promise<void>[] = [];
      const options = {
        [call]: () => {
          if (code === 'WAL_CLOSED') closing.push(wal.close());
          throw thrown;
        },
      };
      expect(await rejection(wal.importFrom('/source', { io, groupBytes: 1000, ...options }))).toBe(thrown);
      await Promise.all(closing);
      await wal.close();
    }
  },
);
