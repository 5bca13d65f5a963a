import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { type ImportReport, Wal, type WalError } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { textsOf, watch } from './support/outcomes.js';

/** The log that records are imported into is closed meanwhile. */

const COUNT = 60;
const KIND = { completesInline: false } as const;
const payloadOf = (number: number): string => `event ${number} `.padEnd(300, 'abc');
const numbersIn = async (wal: Wal): Promise<number[]> =>
  (await textsOf(wal)).map((payload) => Number(payload.split(' ')[1]));
const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

const ENDS: readonly (readonly [string, (wal: Wal) => Promise<void>])[] = [
  ['close', (wal) => wal.close({ discard: true })],
  ['shutdown', (wal) => wal.shutdown()],
];

describe.each(ENDS)('%s beside an import', (how, end) => {
  /** Ends the log when the import reads a record. */
  async function endedAt(at: number, groupBytes: number) {
    const elsewhere = new SimulatedDisk().createStorageIo();
    const source = await Wal.open('/source', { io: elsewhere });
    for (const number of numbers(1, COUNT)) source.append(payloadOf(number));
    await source.shutdown();
    const disk = new SimulatedDisk();
    const options = { blockBytes: 512, markAfterMs: 0, preallocate: 'none' } as const;
    const wal = await Wal.open('/log', { io: disk.createStorageIo(KIND), ...options });
    const reports: ImportReport[] = [];
    let ending: Promise<void> | undefined;
    const matches = ({ lsn }: { lsn: number }): boolean => {
      if (lsn === at) ending = end(wal);
      return true;
    };
    const onProgress = (report: ImportReport): void => void reports.push(report);
    const importing = watch(wal.importFrom('/source', { io: elsewhere, groupBytes, matches, onProgress }));
    while (importing.state === 'pending') await new Promise(setImmediate);
    await ending;
    const openAgain = () => Wal.open('/log', { io: disk.crash().createStorageIo(KIND), ...options });
    return { error: importing.error as WalError, reports, openAgain, elsewhere };
  }

  test.each([
    ['in the first group', 30, 1_000_000],
    ['in a later group', 30, 3000],
    ['at the last record', COUNT, 1_000_000],
    ['at the last record of a later group', COUNT, 3000],
  ])('%s: what the log has was reported, and no more', async (_what, at, groupBytes) => {
    const { error, reports, openAgain, elsewhere } = await endedAt(at, groupBytes);
    const reached = reports.at(-1)?.sourceLsn ?? 0;
    // What is read before the log is drained is imported.
    if (how === 'shutdown' && error === undefined) expect(reached).toBe(COUNT);
    else {
      expect(error).toMatchObject({ code: 'WAL_CLOSED', state: 'closed', path: '/source', lsn: reached });
      expect(error.message).toContain(`go on with from: ${reached + 1}`);
      expect(error.reason).toBeUndefined();
    }
    const again = await openAgain();
    expect([again.lastLsn, reports.at(-1)?.records ?? 0]).toEqual([reached, reached]);
    await again.importFrom('/source', { io: elsewhere, from: reached + 1 });
    expect(await numbersIn(again)).toEqual(numbers(1, COUNT));
    await again.close();
  });
});
