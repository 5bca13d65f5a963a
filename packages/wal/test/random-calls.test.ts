import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { numbersFrom } from '../../../harness/test-kit/numbers.js';
import { SIMULATED_KINDS } from '../../../harness/test-kit/simulated-kinds.js';
import { watch } from './support/outcomes.js';

/**
 * Random concurrent calls of everything that waits, on a disk that is full at times: each is answered, and the answers hold after a power
 * cut. So does what a shutdown says, beside commits that wait and a close.
 */

const SEEDS = Array.from({ length: process.env['WALSTACK_LONG'] === undefined ? 40 : 500 }, (_, index) => index + 1);
const CALLS = 100;

/** Why a call may be rejected: its signal, a full disk, or a close. */
const ANSWERS = ['WAL_ABORTED', 'WAL_NO_SPACE', 'WAL_CLOSED'];

/** The results of the calls: texts of events by LSN that must be in the log, and texts that must not be. */
class Outcomes {
  readonly acknowledged = new Map<number, string>();
  readonly refused = new Set<string>();
  readonly wrong: unknown[] = [];
  /** The last LSN that the log had when it was shut down; 0 when that was rejected, or the log was left as it was. */
  shutDownAt = 0;

  cutAfter(lsn: number): void {
    for (const each of this.acknowledged.keys()) if (each > lsn) this.acknowledged.delete(each);
  }

  /** @param last - the LSN of the last of the texts */
  committed(texts: readonly string[], last: number): void {
    for (const [index, text] of texts.entries()) this.acknowledged.set(last - texts.length + 1 + index, text);
  }

  rejected(texts: readonly string[], error: { readonly code?: string; readonly reason?: string }): void {
    if (!ANSWERS.includes(error.code ?? '')) this.wrong.push(error);
    else if (error.reason !== 'outcome-unknown') for (const text of texts) this.refused.add(text);
  }
}

/** Makes random calls, waits until each of them is answered, and perhaps shuts the log down. */
async function call(
  wal: Wal,
  disk: SimulatedDisk,
  time: ManualTime,
  number: (below: number) => number,
): Promise<Outcomes> {
  const outcomes = new Outcomes();
  const answers: Promise<unknown>[] = [];
  const controllers: AbortController[] = [];
  let texts = 0;
  const waitFor = (answer: Promise<unknown>): void => {
    answers.push(answer.catch((error) => outcomes.rejected([], error)));
  };
  const aborting = (): { readonly signal?: AbortSignal } => {
    if (number(4) > 0) return {};
    const controller = new AbortController();
    controllers.push(controller);
    return { signal: controller.signal };
  };
  const next = (): { readonly text: string; readonly payload: Buffer } => {
    const text = `${texts++};`;
    return { text, payload: Buffer.alloc([20, 100, 700, 3000][number(4)] as number, text) };
  };
  const commit = (): void => {
    const { text, payload } = next();
    const committed = wal.commit(payload, aborting());
    answers.push(
      committed.then(
        (lsn) => outcomes.committed([text], lsn),
        (error) => outcomes.rejected([text], error),
      ),
    );
  };
  const commitBatch = (): void => {
    const events = Array.from({ length: 1 + number(4) }, next);
    const batch = wal.batch();
    for (const { payload } of events) batch.add(payload);
    const all = events.map(({ text }) => text);
    const committed = wal.commitBatch(batch, aborting());
    answers.push(
      committed.then(
        (lsn) => outcomes.committed(all, lsn),
        (error) => outcomes.rejected(all, error),
      ),
    );
  };
  const append = (): void => {
    try {
      wal.append(next().payload);
    } catch (error) {
      expect(error).toMatchObject({ code: expect.stringMatching(/^WAL_(BACKPRESSURE|STATE|NO_SPACE)$/) });
    }
  };
  const cutAfter = (): void => {
    const lsn = Math.max(wal.firstLsn - 1, wal.lastLsn - number(10));
    // Another cut may be under way, which drops more.
    const done = wal.truncateAfter(lsn).then(
      () => outcomes.cutAfter(lsn),
      (error) =>
        expect(error).toMatchObject({ code: expect.stringMatching(/^(ERR_OUT_OF_RANGE|WAL_TRUNCATED|WAL_NO_SPACE)$/) }),
    );
    answers.push(done);
  };
  const reset = (): void => {
    waitFor(wal.resetTo(1 + number(2 * wal.lastLsn + 5)).then(() => outcomes.cutAfter(0)));
  };
  const fill = (): void => {
    disk.capacityBytes = disk.usedBytes + 700 * number(3);
  };
  const empty = (): void => {
    disk.capacityBytes = Number.POSITIVE_INFINITY;
  };
  const durable = (): void => waitFor(wal.durable(Math.max(0, wal.lastLsn - number(5)), aborting()));
  const calls: readonly (readonly [number, () => unknown])[] = [
    [35, commit],
    [7, commitBatch],
    [12, append],
    [5, () => waitFor(wal.ready(aborting()))],
    [5, durable],
    [3, () => waitFor(wal.sync())],
    [2, () => waitFor(wal.flush())],
    [5, cutAfter],
    [1, reset],
    [8, () => controllers.splice(number(controllers.length + 1), 1)[0]?.abort()],
    [4, () => time.fire()],
    [13, () => turns(number(4))],
    [3, () => fill()],
    [3, () => empty()],
  ];
  const weights = calls.flatMap(([weight, make]) => Array.from({ length: weight }, () => make));
  for (let made = 0; made < CALLS; made++) await weights[number(weights.length)]?.();
  empty();
  await answered(answers, time);
  if (number(2) === 0) return outcomes;

  const before = answers.length;
  for (let left = 1 + number(8); left > 0; left--) commit();
  if (number(2) === 0) fill();
  const shuttingDown = wal.shutdown();
  const shutdown = watch(shuttingDown);
  let end: number | undefined;
  if (number(2) === 0) {
    // Right behind a commit: those that wait for room are appended then.
    await answers[before + number(answers.length - before)];
    end = wal.lastLsn;
    waitFor(wal.close({ discard: true }));
  }
  await Promise.allSettled([...answers, shuttingDown]);
  expect(time.waiting).toEqual([]);
  if (shutdown.state === 'fulfilled') outcomes.shutDownAt = end ?? wal.lastLsn;
  else outcomes.rejected([], shutdown.error as { readonly code?: string });
  empty();
  return outcomes;
}

/** Waits until all calls are answered, which need time where they wait for room on the disk. */
async function answered(answers: readonly Promise<unknown>[], time: ManualTime): Promise<void> {
  let isAnswered = false;
  const all = Promise.all(answers).then(() => {
    isAnswered = true;
  });
  while (!isAnswered) {
    await Promise.race([all, turns(100)]);
    time.fire();
  }
  await all;
}

describe.each(SIMULATED_KINDS)('on a backend that %s', (_name, kind) => {
  test.each(SEEDS)('with seed %i', async (seed) => {
    const number = numbersFrom(seed);
    const disk = new SimulatedDisk({ seed });
    const time = new ManualTime();
    const wal = await Wal.open('/log', {
      io: disk.createStorageIo(kind),
      blockBytes: 512,
      segmentBytes: [2048, 8192, 65_536][number(3)] as number,
      maxPendingBytes: [1024, 4096, 1024 * 1024][number(3)] as number,
      flushBytes: [1, 2000, 1024 * 1024][number(3)] as number,
      maxInFlight: 1 + number(4),
      padGroups: number(2) === 0,
      preallocate: number(2) === 0 ? 'none' : 'write',
      reserveBytes: number(2) === 0 ? 0 : 8192,
      ...time.options,
    });
    const outcomes = await call(wal, disk, time, number);
    expect(outcomes.wrong).toEqual([]);
    expect(wal.stats()).toMatchObject({ waitingCommits: 0, waitingForRoom: 0 });

    const found = await Wal.open('/log', { io: disk.crash().createStorageIo() });
    const texts = new Map<number, string>();
    await found.replay('first', ({ lsn, payload }) => {
      const text = Buffer.from(payload).toString('latin1');
      texts.set(lsn, text.slice(0, text.indexOf(';') + 1));
    });
    for (const [lsn, text] of outcomes.acknowledged) expect([lsn, texts.get(lsn)]).toEqual([lsn, text]);
    for (const text of texts.values()) expect(outcomes.refused.has(text)).toBe(false);
    expect(found.lastLsn).toBeGreaterThanOrEqual(outcomes.shutDownAt);
    await found.close();
  });
});
