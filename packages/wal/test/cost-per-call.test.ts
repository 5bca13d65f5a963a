import { createMemoryStorageIo } from '@walstack/storage-io';
import { Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { aWord, workOf } from './support/counted-work.js';

/** A log in memory that is full with a few records. */
const open = (): Promise<Wal> =>
  Wal.open('/log', { io: createMemoryStorageIo(), maxPendingBytes: 4096, markAfterMs: 0 });

const SIZES = [2000, 8000] as const;

/** The cost of each of many calls does not depend on their number. */
function expectLinear(work: readonly number[]): void {
  const [few, many] = work as [number, number];
  expect(many / few).toBeLessThan((1.25 * SIZES[1]) / SIZES[0]);
}

async function eachSize(run: (count: number) => Promise<number>): Promise<number[]> {
  const work: number[] = [];
  // The first run compiles what the others run.
  await run(SIZES[0]);
  for (const size of SIZES) work.push(await run(size));
  return work;
}

test('waiting for room costs the same for each commit, however many wait', async () => {
  const work = await eachSize(async (count) => {
    const wal = await open();
    const all = Array.from({ length: count }, () => aWord);
    const spent = await workOf(async () => {
      const commits = all.map((word) => wal.commit(word));
      expect(wal.stats().waitingForRoom).toBeGreaterThan(count / 2);
      const lsns = await Promise.all(commits);
      expect(lsns).toEqual(all.map((_, index) => index + 1));
    });
    await wal.shutdown();
    return spent;
  });
  expectLinear(work);
});

test.each([
  ['the signal of all', () => undefined],
  ['one signal for each', () => new AbortController()],
])('giving up the wait for room by %s costs the same for each commit', async (_whose, own) => {
  const work = await eachSize(async (count) => {
    const wal = await open();
    const shared = new AbortController();
    const controllers = Array.from({ length: count }, () => own() ?? shared);
    const spent = await workOf(async () => {
      const commits = controllers.map(({ signal }) => wal.commit(aWord, { signal }));
      const { waitingForRoom } = wal.stats();
      expect(waitingForRoom).toBeGreaterThan(count / 2);
      for (const controller of controllers) controller.abort();
      expect(wal.stats().waitingForRoom).toBe(0);
      const outcomes = await Promise.allSettled(commits);
      const nothing = outcomes.filter((outcome) => outcome.status === 'rejected' && outcome.reason.lsn === undefined);
      expect(nothing.length).toBe(waitingForRoom);
      expect(wal.lastLsn).toBe(count - waitingForRoom);
    });
    await wal.shutdown();
    return spent;
  });
  expectLinear(work);
});

test('a signal is listened to once, by any number of calls, and not at all when none is left', async () => {
  const wal = await open();
  let listeners = 0;
  let added = 0;
  const signal = Object.assign(new EventTarget(), { aborted: false, reason: undefined }) as unknown as AbortSignal;
  const { addEventListener, removeEventListener } = EventTarget.prototype;
  signal.addEventListener = (...given: Parameters<typeof addEventListener>) => {
    listeners++;
    added++;
    addEventListener.apply(signal, given);
  };
  signal.removeEventListener = (...given: Parameters<typeof removeEventListener>) => {
    listeners--;
    removeEventListener.apply(signal, given);
  };
  const commits = Array.from({ length: 1000 }, () => wal.commit(aWord, { signal }));
  expect(listeners).toBe(1);
  await Promise.all(commits);
  expect(listeners).toBe(0);
  expect(added).toBeLessThan(1000);
  await wal.shutdown();
});

test('waiting for durability in falling order costs little more than in rising order, and resolves in order', async () => {
  const work = await eachSize(async (count) => {
    const wal = await Wal.open('/log', { io: createMemoryStorageIo(), markAfterMs: 0 });
    for (let lsn = 1; lsn <= count; lsn++) wal.append(aWord);
    const served: number[] = [];
    const spent = await workOf(async () => {
      const waits: Promise<unknown>[] = [];
      const ask = (lsn: number): void => {
        waits.push(wal.durable(lsn).then(() => served.push(lsn)));
      };
      for (let lsn = count; lsn > 1; lsn -= 2) ask(lsn);
      for (let lsn = 1; lsn < count; lsn += 2) ask(lsn);
      await Promise.all(waits);
    });
    expect(served).toEqual(served.toSorted((a, b) => a - b));
    expect(served).toHaveLength(count);
    await wal.shutdown();
    return spent;
  });
  const [few, many] = work as [number, number];
  // A logarithmic factor more for four times as many.
  expect(many / few).toBeLessThan((1.5 * SIZES[1]) / SIZES[0]);
});
