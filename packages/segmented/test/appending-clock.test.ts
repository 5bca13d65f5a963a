import { KeyRing } from '@walstack/codec';
import { Batch, SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { texts } from './support/logs.js';

/** What a log is given to look at the environment with, and what appends to the log in its turn. */

const keyRing = KeyRing.of({ id: 1, key: new Uint8Array(32).fill(7) });
const APPENDED = expect.objectContaining({ code: 'WAL_STATE', state: 'appended' });

/** A log whose clock or random bytes append once, when that is asked for. */
function opened(config: Partial<SegmentedWalConfig> = {}) {
  const disk = new SimulatedDisk();
  const due = { now: false, randomBytes: false };
  let drawn = 0;
  let mark = (): void => {};
  const appendOnce = (who: keyof typeof due): void => {
    if (!due[who]) return;
    due[who] = false;
    wal.append(`by ${who}`);
  };
  const wal: SegmentedWal = SegmentedWal.openSync({
    directory: '/log',
    io: disk.createStorageIo(),
    blockBytes: 512,
    now: () => {
      appendOnce('now');
      return 1_700_000_000_000;
    },
    randomBytes: (bytes) => {
      appendOnce('randomBytes');
      return new Uint8Array(bytes).fill(++drawn);
    },
    setTimer: (callback) => {
      mark = callback;
      return () => {};
    },
    ...config,
  });
  return { disk, wal, due, mark: () => mark() };
}

const three = (): Batch => new Batch().add('a').add('b').add('c');
const found = (disk: SimulatedDisk, config: Partial<SegmentedWalConfig> = {}): string[] =>
  texts(SegmentedWal.openSync({ directory: '/log', io: disk.crash().createStorageIo(), ...config }).replay());

test('a batch whose clock appends is refused, and can be appended then', () => {
  const { disk, wal, due } = opened();
  const batch = three();
  due.now = true;
  expect(() => wal.appendBatch(batch)).toThrow(APPENDED);
  expect(wal.lastLsn).toBe(1);
  expect(wal.appendBatch(batch)).toBe(4);
  wal.syncSync();
  expect(wal.durableLsn).toBe(4);
  expect(found(disk)).toEqual(['by now', 'a', 'b', 'c']);
});

test.each(['record', 'batch'])('a %s whose clock closes the log is refused', (what) => {
  const disk = new SimulatedDisk();
  let closes = false;
  const wal: SegmentedWal = SegmentedWal.openSync({
    directory: '/log',
    io: disk.createStorageIo(),
    blockBytes: 512,
    now: () => {
      if (closes) wal.closeSync();
      return 1_700_000_000_000;
    },
  });
  wal.append('first');
  wal.syncSync();
  closes = true;
  const add = (): unknown => (what === 'record' ? wal.append('late') : wal.appendBatch(three()));
  expect(add).toThrow(expect.objectContaining({ code: 'WAL_CLOSED' }));
  expect(wal.lastLsn).toBe(1);
  expect(found(disk)).toEqual(['first']);
});

test('a record whose clock begins a cut is refused, and the cut is made', async () => {
  const disk = new SimulatedDisk();
  let cut: Promise<unknown> | undefined;
  let cuts = false;
  const wal: SegmentedWal = SegmentedWal.openSync({
    directory: '/log',
    io: disk.createStorageIo(),
    blockBytes: 512,
    now: () => {
      if (cuts) cut ??= wal.truncateAfter(1);
      return 1_700_000_000_000;
    },
  });
  for (const payload of ['a', 'b']) wal.append(payload);
  wal.syncSync();
  cuts = true;
  expect(() => wal.append('late')).toThrow(expect.objectContaining({ code: 'WAL_STATE' }));
  await cut;
  expect(wal.append('c')).toBe(2);
  wal.closeSync();
  expect(found(disk)).toEqual(['a', 'c']);
});

test('a record whose clock appends is refused, and can be appended then', () => {
  const { disk, wal, due } = opened();
  due.now = true;
  expect(() => wal.append('x')).toThrow(APPENDED);
  expect(wal.append('x')).toBe(2);
  wal.syncSync();
  expect(found(disk)).toEqual(['by now', 'x']);
});

test.each([
  ['a record', (wal: SegmentedWal) => wal.append(new Uint8Array(600))] as const,
  ['a batch', (wal: SegmentedWal) => wal.appendBatch(three())] as const,
])('%s for whose new segment random bytes append is refused, and goes into the next one then', (_what, append) => {
  const { disk, wal, due } = opened({ segmentBytes: 1024 });
  wal.append(new Uint8Array(400));
  due.randomBytes = true;
  expect(() => append(wal)).toThrow(APPENDED);
  expect(wal.lastLsn).toBe(2);
  const last = append(wal);
  expect(last).toBe(wal.lastLsn);
  wal.syncSync();
  expect(wal.durableLsn).toBe(last);
  expect(found(disk)).toHaveLength(last);
});

test('a mark does not tell of what its clock appends', async () => {
  const { wal, due, mark } = opened();
  wal.append('x');
  wal.syncSync();
  due.now = true;
  mark();
  await new Promise(setImmediate);
  expect(wal.lastLsn).toBe(2);
  expect(wal.stats().marks).toBe(0);
  wal.syncSync();
  expect(wal.durableLsn).toBe(2);
});

test('a record is refused whose clock has the log begin anew at the same LSN, and can be appended then', () => {
  const disk = new SimulatedDisk();
  let due = false;
  const wal: SegmentedWal = SegmentedWal.openSync({
    directory: '/log',
    io: disk.createStorageIo(),
    blockBytes: 512,
    now: () => {
      if (due) {
        due = false;
        wal.resetToSync(wal.nextLsn);
      }
      return 1_700_000_000_000;
    },
  });
  wal.append('a');
  wal.syncSync();
  due = true;
  expect(() => wal.append('b')).toThrow(APPENDED);
  expect(wal.append('c')).toBe(2);
  wal.syncSync();
  expect(found(disk)).toEqual(['c']);
});

test.each([
  ['truncateBefore', 'now', (wal: SegmentedWal) => wal.truncateBefore(wal.nextLsn)] as const,
  ['truncateBefore', 'randomBytes', (wal: SegmentedWal) => wal.truncateBefore(wal.nextLsn)] as const,
  ['truncateBeforeSync', 'now', async (wal: SegmentedWal) => wal.truncateBeforeSync(wal.nextLsn)] as const,
  ['rotateKey', 'now', (wal: SegmentedWal) => wal.rotateKey()] as const,
  ['rotateKeySync', 'randomBytes', async (wal: SegmentedWal) => wal.rotateKeySync()] as const,
])('%s during which %s appends rolls behind what was appended', async (_call, source, roll) => {
  const { disk, wal, due } = opened({ keyRing });
  wal.append('a');
  wal.syncSync();
  due[source] = true;
  await roll(wal);
  expect(wal.lastLsn).toBe(2);
  expect(wal.append('b')).toBe(3);
  wal.syncSync();
  expect(wal.durableLsn).toBe(3);
  expect(texts(wal.replayFrom(2))).toEqual([`by ${source}`, 'b']);
  expect(found(disk, { keyRing }).slice(-2)).toEqual([`by ${source}`, 'b']);
});

/** A log in a segment that is nearly full, whose random bytes do something once, when it is told to. */
function withRandomBytesThat(act: (wal: SegmentedWal) => void, config: Partial<SegmentedWalConfig> = {}) {
  const disk = new SimulatedDisk();
  let isDue = false;
  let drawn = 0;
  const wal: SegmentedWal = SegmentedWal.openSync({
    directory: '/log',
    io: disk.createStorageIo(),
    blockBytes: 512,
    segmentBytes: 1024,
    randomBytes: (bytes) => {
      if (isDue) {
        isDue = false;
        act(wal);
      }
      return new Uint8Array(bytes).fill(++drawn);
    },
    ...config,
  });
  const tell = (): void => {
    isDue = true;
  };
  return { disk, wal, tell };
}

test('a record for whose new segment random bytes roll the log is appended behind that roll', () => {
  const { disk, wal, tell } = withRandomBytesThat((log) => log.truncateBeforeSync(log.nextLsn));
  wal.append(new Uint8Array(400));
  wal.syncSync();
  tell();
  expect(wal.append('x'.repeat(600))).toBe(2);
  wal.syncSync();
  expect(wal.append('y')).toBe(3);
  wal.syncSync();
  expect(found(disk)).toEqual(['x'.repeat(600), 'y']);
});

test('a batch to which random bytes add a record is refused, and can be appended then', () => {
  const batch = three();
  const { disk, wal, tell } = withRandomBytesThat(() => batch.add('d'));
  wal.append('x'.repeat(490));
  tell();
  expect(() => wal.appendBatch(batch)).toThrow(APPENDED);
  expect(wal.lastLsn).toBe(1);
  expect(wal.appendBatch(batch)).toBe(5);
  wal.syncSync();
  expect(wal.durableLsn).toBe(5);
  expect(found(disk)).toEqual(['x'.repeat(490), 'a', 'b', 'c', 'd']);
});

test.each([
  ['a record', (wal: SegmentedWal) => wal.append('x')] as const,
  ['a batch', (wal: SegmentedWal) => wal.appendBatch(three())] as const,
])('%s during which the clock sets the key ring is refused, and encrypted then', (_what, append) => {
  const disk = new SimulatedDisk();
  let isDue = false;
  const wal: SegmentedWal = SegmentedWal.openSync({
    directory: '/log',
    io: disk.createStorageIo(),
    now: () => {
      if (isDue) {
        isDue = false;
        wal.setEncryptionRing(keyRing);
      }
      return 1_700_000_000_000;
    },
  });
  isDue = true;
  expect(() => append(wal)).toThrow(APPENDED);
  const last = append(wal);
  wal.syncSync();
  expect(found(disk, { keyRing })).toEqual(last === 1 ? ['x'] : ['a', 'b', 'c']);
});

test.each([
  ['a longer one', 'x', 'y'.repeat(100), {}] as const,
  ['one with a scope', '', '', { tenantId: 1, type: 9 }] as const,
])(
  'a record during which the clock fails to append %s is appended as it was given',
  async (_what, given, other, options) => {
    const disk = new SimulatedDisk();
    const failed: unknown[] = [];
    let isDue = false;
    const wal: SegmentedWal = SegmentedWal.openSync({
      directory: '/log',
      io: disk.createStorageIo(),
      maxPendingBytes: 70,
      now: () => {
        if (isDue) {
          isDue = false;
          try {
            wal.append(other, options);
          } catch (error) {
            failed.push((error as { code?: unknown }).code);
          }
        }
        return 1_700_000_000_000;
      },
    });
    wal.append('a');
    // The clock is read once in each turn.
    await new Promise(setImmediate);
    isDue = true;
    expect(wal.append(given, { type: 5 })).toBe(2);
    expect(failed).toEqual(['WAL_BACKPRESSURE']);
    wal.syncSync();
    const { records } = SegmentedWal.openSync({
      directory: '/log',
      io: disk.crash().createStorageIo(),
    }).replayFromLimitSync(1, 9);
    expect(records).toHaveLength(2);
    expect(records[1]).toMatchObject({ type: 5, scope: undefined });
    expect(Buffer.from(records[1]?.payload ?? 'none').toString()).toBe(given);
  },
);
