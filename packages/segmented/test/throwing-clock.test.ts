import { SegmentedWal } from '@walstack/segmented';
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
  function opened() {
    const disk = new SimulatedDisk();
    let isBroken = false;
    let mark = (): void => {};
    const wal: SegmentedWal = SegmentedWal.openSync({
      directory: '/log',
      io: disk.createStorageIo(),
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
