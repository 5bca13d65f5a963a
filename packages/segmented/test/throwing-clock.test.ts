import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { texts } from './support/logs.js';

/** A clock that throws fails the append that calls it, and nothing else. */

const CLOCKS: readonly (readonly [string, (wal: SegmentedWal) => unknown])[] = [
  [
    'throws',
    () => {
      throw new RangeError('no time');
    },
  ],
  ['returns a BigInt', () => 1n],
  ['returns a symbol', () => Symbol('now')],
  // Refused, as the mark is being written.
  ['makes a blocking call', (wal) => wal.syncSync()],
];

describe.each(CLOCKS)('a clock that %s', (_what, broken) => {
  function opened(config: Partial<SegmentedWalConfig> = {}) {
    const disk = new SimulatedDisk();
    let isBroken = false;
    let mark = (): void => {};
    const wal: SegmentedWal = SegmentedWal.openSync({
      directory: '/log',
      io: disk.createStorageIo(),
      ...config,
      now: () => (isBroken ? (broken(wal) as number) : 1_700_000_000_000),
      setTimer: (callback) => {
        mark = callback;
        return () => {};
      },
    });
    wal.append('a');
    wal.syncSync();
    const breakClock = (yes = true): void => {
      isBroken = yes;
    };
    return { disk, wal, breakClock, mark: () => mark() };
  }

  test('does not prevent an idle log from being marked', async () => {
    const { disk, wal, breakClock, mark } = opened();
    breakClock();
    mark();
    await turns(5);
    expect(wal.failure).toBeUndefined();
    expect(wal.stats().marks).toBe(1);
    breakClock(false);
    expect(wal.append('b')).toBe(2);
    wal.syncSync();
    const found = SegmentedWal.openSync({ directory: '/log', io: disk.crash().createStorageIo() });
    expect(texts(found.replay())).toEqual(['a', 'b']);
  });

  test.each([
    ['checkpoint', (wal: SegmentedWal) => wal.checkpoint(2)] as const,
    ['hold', (wal: SegmentedWal) => wal.hold('new', 1)] as const,
    ['releaseHold', (wal: SegmentedWal) => wal.releaseHold('old')] as const,
  ])('makes %s throw only where that has changed nothing, with retention by age', async (_call, call) => {
    const { wal, breakClock } = opened({ retainAgeMs: 1000, blockBytes: 512, segmentBytes: 1024 });
    for (let record = 0; record < 4; record++) {
      wal.append('b'.repeat(400));
      wal.syncSync();
    }
    await wal.hold('old', 1);
    expect(wal.listSegments().length).toBeGreaterThan(2);
    const state = () => JSON.stringify([wal.checkpointLsn, wal.holds]);
    const before = state();
    breakClock();
    const hasThrown = await call(wal).then(
      () => false,
      () => true,
    );
    expect(state() === before).toBe(hasThrown);
    breakClock(false);
    await call(wal);
    expect(state()).not.toBe(before);
    expect(wal.failure).toBeUndefined();
    await wal.close();
  });

  test.each([
    ['close', (wal: SegmentedWal) => wal.close()] as const,
    ['closeSync', async (wal: SegmentedWal) => wal.closeSync()] as const,
  ])('does not prevent %s', async (_call, close) => {
    const { disk, wal, breakClock } = opened();
    breakClock();
    await close(wal);
    expect(wal.failure).toBeUndefined();
    const again = SegmentedWal.openSync({ directory: '/log', io: disk.crash().createStorageIo() });
    expect(again.recovery).toMatchObject({ cleanlyClosed: true, records: 1 });
  });
});
