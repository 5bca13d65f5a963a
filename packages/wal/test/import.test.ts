import { cpSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MmapWalReader } from '@walstack/mmap-reader';
import { createMemoryStorageIo } from '@walstack/storage-io';
import {
  type ImportReport,
  replayQuarantine,
  type SalvageReport,
  type SegmentMeta,
  type UnreadablePart,
  Wal,
  type WalError,
  type WalOptions,
} from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { ringOf } from '../../../harness/test-kit/keys.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';

const SMALL = { segmentBytes: 8192, blockBytes: 512, recycleSegments: 0, io: 'sync-fs' } as const;
const payloadOf = (lsn: number): string => `event ${lsn} `.padEnd(300, 'abc');

/** Makes a log of `count` events, with batches of three at every tenth LSN. */
async function made(directory: string, count: number, options: WalOptions = {}): Promise<Wal> {
  const wal = await Wal.open(directory, { ...SMALL, ...options });
  while (wal.lastLsn < count) {
    const lsn = wal.lastLsn + 1;
    const about = { type: lsn % 3, meta: `meta ${lsn}`, tenantId: 2n ** 63n, databaseId: lsn, vshardId: 7 };
    if (lsn % 10 !== 0) await wal.commit(payloadOf(lsn), about);
    else {
      const batch = wal.batch();
      for (const each of [lsn, lsn + 1, lsn + 2]) batch.add(payloadOf(each), about);
      await wal.commitBatch(batch);
    }
  }
  return wal;
}

/** Type, meta, ids and payload of every event. */
async function contentsOf(wal: Wal): Promise<unknown[]> {
  const found: unknown[] = [];
  await wal.replay('first', ({ type, meta, scope, payload }) => found.push([type, text(meta), scope, text(payload)]));
  return found;
}

/** The number in the payload of every event. */
async function numbersIn(wal: Wal): Promise<number[]> {
  const found: number[] = [];
  await wal.replay('first', ({ payload }) => found.push(Number(text(payload).split(' ')[1])));
  return found;
}

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** Whether the batch of each event goes on behind it, from an LSN on. */
function continuedIn(wal: Wal, from: number): boolean[] {
  return wal.listSegments().flatMap(({ path }) => {
    const reader = MmapWalReader.open(path, { keyRing: ringOf(1), allowPlaintext: true });
    const bytes = readFileSync(path);
    const found: boolean[] = [];
    const cursor = reader.cursor();
    while (cursor.next()) if (cursor.lsn >= from) found.push(((bytes[cursor.offset + 26] as number) & 1) === 1);
    reader.close();
    return found;
  });
}

/** Changes a byte of a file. */
function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] as number) ^ 0x10;
  writeFileSync(path, bytes);
}

/** The offset of a record in a segment. */
function offsetOf(path: string, lsn: number): number {
  const reader = MmapWalReader.open(path);
  const cursor = reader.cursor();
  while (cursor.next() && cursor.lsn !== lsn);
  const { offset } = cursor;
  reader.close();
  return offset;
}

/** A log that was salvaged: what is behind its first damage is in quarantine. */
async function salvaged(directory: string, lsn: number): Promise<Wal> {
  const wal = await made(directory, 120);
  await wal.shutdown();
  const { path } = wal.listSegments().findLast(({ firstLsn }) => firstLsn <= lsn) as { path: string };
  flip(path, offsetOf(path, lsn) + 80);
  return await Wal.open(directory, { ...SMALL, recoveryMode: 'salvage' });
}

describe.each([
  ['plain', {}],
  ['encrypted', { keyRing: ringOf(1) }],
  ['compressed', { compression: { codec: 'deflate', thresholdBytes: 64 } }],
] as const)('a source that is %s', (_kind, kind) => {
  test('is imported whole: types, meta, ids, bytes and batches, durable on return', async () => {
    const directory = temporaryDirectory();
    const source = await made(join(directory, 'source'), 120, kind);
    const wal = await made(join(directory, 'log'), 9, kind);
    const progress: ImportReport[] = [];
    const report = await wal.importFrom(join(directory, 'source'), {
      groupBytes: 4096,
      onProgress: (each) => progress.push(each),
    });
    expect(wal.durableLsn).toBe(wal.lastLsn);
    const { lastLsn } = source;
    expect(report).toMatchObject({ records: lastLsn, leftOut: 0, sourceLsn: lastLsn, firstLsn: 10 });
    expect(report.lastLsn).toBe(wal.lastLsn);
    expect(progress.length).toBeGreaterThan(4);
    expect(progress.at(-1)).toEqual(report);
    for (const [index, { records, sourceLsn }] of progress.entries()) {
      expect(records).toBe(sourceLsn);
      expect(sourceLsn).toBeGreaterThan(progress[index - 1]?.sourceLsn ?? 0);
    }
    expect((await contentsOf(wal)).slice(9)).toEqual(await contentsOf(source));
    await source.shutdown();
    await wal.shutdown();
    const continued = continuedIn(source, 1);
    expect(continued.filter(Boolean).length).toBeGreaterThan(10);
    expect(continuedIn(wal, 10)).toEqual(continued);
  });
});

test('a range, types, ids and a function choose, and batches stay batches as far as they are chosen', async () => {
  const directory = temporaryDirectory();
  const source = await made(join(directory, 'source'), 60);
  await source.shutdown();
  const wal = await Wal.open(join(directory, 'log'), { ...SMALL, maxPendingBytes: 4096 });
  const report = await wal.importFrom(join(directory, 'source'), {
    from: 8,
    to: 41,
    types: [1, 2],
    scope: { tenantId: 2n ** 63n },
    matches: ({ lsn, meta }) => lsn % 5 !== 0 && text(meta).startsWith('meta'),
  });
  // The events of a batch have the type of its first one.
  const typeOf = (lsn: number): number => (lsn % 10 < 3 && lsn >= 10 ? lsn - (lsn % 10) : lsn) % 3;
  const expected = numbers(8, 41).filter((lsn) => typeOf(lsn) !== 0 && lsn % 5 !== 0);
  expect(await numbersIn(wal)).toEqual(expected);
  expect(report).toMatchObject({ records: expected.length, leftOut: 34 - expected.length, sourceLsn: 41, firstLsn: 1 });
  expect(report.payloadBytes).toBe(300 * expected.length);
  await wal.shutdown();
});

test('an import that was aborted goes on where it was, and no event is there twice', async () => {
  const directory = temporaryDirectory();
  const source = await made(join(directory, 'source'), 120);
  const { lastLsn } = source;
  await source.shutdown();
  const wal = await Wal.open(join(directory, 'log'), SMALL);
  let from = 1;
  let aborted = 0;
  for (;;) {
    const stop = new AbortController();
    const options = { from, groupBytes: 2000, signal: stop.signal, onProgress: () => stop.abort('enough') };
    try {
      const { sourceLsn } = await wal.importFrom(join(directory, 'source'), options);
      expect(sourceLsn).toBe(lastLsn);
      break;
    } catch (error) {
      expect(error).toMatchObject({ code: 'WAL_ABORTED', cause: 'enough' });
      aborted++;
      from = ((error as WalError).lsn as number) + 1;
      expect(wal.durableLsn).toBe(wal.lastLsn);
    }
    if (from > lastLsn) break;
  }
  expect(aborted).toBeGreaterThan(5);
  expect(await numbersIn(wal)).toEqual(numbers(1, lastLsn));
  const none = await rejection(wal.importFrom(join(directory, 'source'), { signal: AbortSignal.abort() }));
  expect(none).toMatchObject({ code: 'WAL_ABORTED', lsn: 0 });
  await wal.shutdown();
});

test('an import that is stopped before it has imported anything continues where it was to begin', async () => {
  const directory = temporaryDirectory();
  const source = await made(join(directory, 'source'), 120);
  await source.checkpoint(40);
  await source.truncateBefore(20);
  const { firstLsn, lastLsn } = source;
  await source.shutdown();
  const wal = await Wal.open(join(directory, 'log'), SMALL);
  const lsnWhenStopped = async (from: number | 'first' | 'checkpoint'): Promise<number> => {
    const error = await rejection(wal.importFrom(join(directory, 'source'), { from, signal: AbortSignal.abort() }));
    expect(error).toMatchObject({ code: 'WAL_ABORTED' });
    const { lsn, message } = error as WalError;
    expect(message).toContain(`from: ${(lsn as number) + 1}`);
    return lsn as number;
  };
  expect(firstLsn).toBeGreaterThan(1);
  expect(await lsnWhenStopped('first')).toBe(firstLsn - 1);
  expect(await lsnWhenStopped('checkpoint')).toBe(40);
  const { sourceLsn } = await wal.importFrom(join(directory, 'source'), { to: 60 });
  expect(sourceLsn).toBe(60);
  // Twice, and then to the end.
  const from = (await lsnWhenStopped((await lsnWhenStopped(sourceLsn + 1)) + 1)) + 1;
  expect(from).toBe(61);
  await wal.importFrom(join(directory, 'source'), { from });
  const none = await wal.importFrom(join(directory, 'source'), { from: lastLsn + 1 });
  expect(none).toEqual({ records: 0, leftOut: 0, payloadBytes: 0, sourceLsn: lastLsn, firstLsn: 0, lastLsn: 0 });
  expect(await numbersIn(wal)).toEqual(numbers(firstLsn, lastLsn));
  await wal.shutdown();
});

test('a batch in which the log was cut ends at the cut', async () => {
  const directory = temporaryDirectory();
  const source = await made(join(directory, 'source'), 32);
  // LSN 30 to 32 are a batch.
  await source.truncateAfter(31);
  for (const number of [32, 33]) source.append(payloadOf(number));
  await source.shutdown();
  const wal = await Wal.open(join(directory, 'log'), SMALL);
  await wal.importFrom(join(directory, 'source'));
  expect(await numbersIn(wal)).toEqual(numbers(1, 33));
  await wal.shutdown();
  expect(continuedIn(wal, 29)).toEqual([false, true, false, false, false]);
});

test('what onProgress and matches throw ends it, and what was appended is durable and was reported', async () => {
  const directory = temporaryDirectory();
  await (await made(join(directory, 'source'), 40)).shutdown();
  const wal = await Wal.open(join(directory, 'log'), SMALL);
  let last: ImportReport | undefined;
  const matches = ({ lsn }: { lsn: number }): boolean => {
    if (lsn === 31) throw new Error('not this one');
    return true;
  };
  const onProgress = (report: ImportReport): void => {
    last = report;
  };
  await expect(wal.importFrom(join(directory, 'source'), { matches, onProgress })).rejects.toThrow('not this one');
  // The batch from 30 to 32 is not there in part.
  expect(last).toMatchObject({ records: 29, sourceLsn: 29 });
  expect(await numbersIn(wal)).toEqual(numbers(1, 29));
  expect(wal.durableLsn).toBe(29);
  await wal.importFrom(join(directory, 'source'), { from: 30 });
  expect(await numbersIn(wal)).toEqual(numbers(1, 42));
  await wal.shutdown();
});

test('a log with holes ends it in front of one, or is imported around them', async () => {
  const directory = temporaryDirectory();
  const source = await made(join(directory, 'source'), 60);
  await source.shutdown();
  const { path } = source.listSegments()[0] as { path: string };
  flip(path, offsetOf(path, 7) + 80);
  await (await Wal.open(join(directory, 'source'), { ...SMALL, recoveryMode: 'skip-corrupt' })).shutdown();
  const wal = await Wal.open(join(directory, 'log'), SMALL);
  let last: ImportReport | undefined;
  const onProgress = (report: ImportReport): void => {
    last = report;
  };
  const error = await rejection(wal.importFrom(join(directory, 'source'), { onProgress }));
  expect(error).toMatchObject({ code: 'WAL_HOLE', firstLsn: 7, lastLsn: 7 });
  expect(last).toMatchObject({ records: 6, sourceLsn: 6 });
  expect(wal.durableLsn).toBe(6);
  await wal.importFrom(join(directory, 'source'), { from: 7, onHole: 'skip' });
  expect(await numbersIn(wal)).toEqual(numbers(1, 62).filter((number) => number !== 7));
  await wal.shutdown();
});

test('a backup, and a log that another handle writes, are sources', async () => {
  const directory = temporaryDirectory();
  const source = await made(join(directory, 'source'), 30);
  await source.backup(join(directory, 'backup'));
  const wal = await Wal.open(join(directory, 'log'), SMALL);
  await wal.importFrom(join(directory, 'backup'));
  await source.commit(payloadOf(33));
  await wal.importFrom(new URL(`file://${join(directory, 'source')}`), { from: 33 });
  expect(await numbersIn(wal)).toEqual(numbers(1, 33));
  // Its own backup has its own events.
  await wal.backup(join(directory, 'own'));
  await wal.importFrom(join(directory, 'own'), { from: 33 });
  expect(await numbersIn(wal)).toEqual([...numbers(1, 33), 33]);
  await source.shutdown();
  await wal.shutdown();
});

test('the directory of the log itself is refused, by whatever name; so are wrong options', async () => {
  const directory = temporaryDirectory();
  const wal = await made(join(directory, 'log'), 9);
  symlinkSync(join(directory, 'log'), join(directory, 'link'));
  for (const name of ['log', 'link', 'log/../log']) {
    const error = await rejection(wal.importFrom(join(directory, name)));
    expect(error).toMatchObject({ code: 'WAL_UNSUPPORTED', path: join(directory, name) });
    expect(await rejection(wal.importFrom(join(directory, name), { quarantine: true }))).toMatchObject(error);
  }
  expect(await rejection(wal.importFrom(join(directory, 'none')))).toMatchObject({ code: 'WAL_NOT_FOUND' });
  const wrong: [object, string][] = [
    [{ groupBytes: 0 }, 'ERR_OUT_OF_RANGE'],
    [{ from: 'checkpoint', quarantine: true }, 'ERR_INVALID_ARG_TYPE'],
    [{ matches: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ onHole: 'no' }, 'ERR_OUT_OF_RANGE'],
    [{ quarantin: true }, 'ERR_INVALID_ARG_VALUE'],
  ];
  for (const [options, code] of wrong) {
    const error = await rejection(wal.importFrom(join(directory, 'none'), options));
    expect([code, 'ERR_INVALID_ARG_TYPE']).toContain((error as { code?: string }).code);
  }
  expect(wal.lastLsn).toBe(9);
  await wal.shutdown();
  expect(await rejection(wal.importFrom(join(directory, 'none')))).toMatchObject({ code: 'WAL_CLOSED' });
});

test('a log in memory is refused as its own source, and imports another one of its backend', async () => {
  await using io = createMemoryStorageIo();
  const source = await Wal.open('/source', { io });
  await source.commit('one');
  const wal = await Wal.open('/log', { io });
  expect(await rejection(wal.importFrom('/log'))).toMatchObject({ code: 'WAL_UNSUPPORTED' });
  expect(await wal.importFrom('/source')).toMatchObject({ records: 1, lastLsn: 1 });
  await source.shutdown();
  await wal.shutdown();
});

describe('a quarantine', () => {
  test('is read file by file, and appended again behind what a salvage has kept', async () => {
    const directory = temporaryDirectory();
    const wal = await salvaged(join(directory, 'log'), 27);
    const { salvage, lastLsn } = wal.recovery;
    expect(lastLsn).toBe(26);
    const { quarantine } = salvage as NonNullable<typeof salvage>;
    const found: number[] = [];
    for (const { lsn, payload } of replayQuarantine(quarantine)) {
      expect(text(payload)).toBe(payloadOf(lsn));
      found.push(lsn);
    }
    const first = found[0] as number;
    expect(found).toEqual(numbers(first, 122));
    const later: number[] = [];
    for await (const { lsn } of replayQuarantine(quarantine, { from: 100, to: 110, types: [0] })) later.push(lsn);
    expect(later.length).toBeGreaterThan(1);
    expect(later.every((lsn) => lsn >= 100 && lsn <= 110)).toBe(true);
    const report = await wal.importFrom(quarantine, { quarantine: true });
    expect(report).toMatchObject({ records: found.length, firstLsn: 27, sourceLsn: 122 });
    expect(await numbersIn(wal)).toEqual([...numbers(1, 26), ...found]);
    expect(wal.durableLsn).toBe(wal.lastLsn);
    await wal.shutdown();
    const again = await Wal.open(join(directory, 'log'), SMALL);
    expect(again.recovery.reason).toBe('clean');
    await again.shutdown();
  });

  test('with the damaged segment beside it returns what is behind the damage, and says what cannot be read', async () => {
    const directory = temporaryDirectory();
    const wal = await salvaged(join(directory, 'log'), 27);
    const { quarantine } = wal.recovery.salvage as { quarantine: string };
    const damagedSegment = wal.listSegments().findLast(({ firstLsn }) => firstLsn <= 26) as {
      path: string;
      firstLsn: number;
    };
    cpSync(damagedSegment.path, join(quarantine, damagedSegment.path.split('/').at(-1) as string));
    writeFileSync(join(quarantine, 'wal-0000000099-00000000000000000500.seg'), 'no segment');
    const unreadable: UnreadablePart[] = [];
    const found = Array.from(
      replayQuarantine(quarantine, { from: 27, onUnreadable: (part) => unreadable.push(part) }),
      ({ lsn }) => lsn,
    );
    expect(found).toEqual(numbers(28, 122));
    expect(unreadable).toEqual([
      { path: expect.stringContaining('quarantine'), offset: expect.any(Number), firstLsn: 27, lastLsn: 27 },
      { path: expect.stringContaining('wal-0000000099'), offset: 0, firstLsn: undefined, lastLsn: undefined },
    ]);
    await wal.importFrom(quarantine, { quarantine: true, from: 27 });
    expect(await numbersIn(wal)).toEqual(numbers(1, 122).filter((number) => number !== 27));
    await wal.shutdown();
  });

  test('of a salvage around damage has the damaged segments', async () => {
    const directory = temporaryDirectory();
    const wal = await made(join(directory, 'log'), 60);
    await wal.shutdown();
    const { path } = wal.listSegments()[1] as { path: string };
    flip(path, offsetOf(path, 31) + 80);
    const again = await Wal.open(join(directory, 'log'), { ...SMALL, recoveryMode: 'skip-corrupt' });
    const { quarantine, quarantined } = again.recovery.salvage as {
      quarantine: string;
      quarantined: readonly string[];
    };
    expect(readdirSync(quarantine)).toEqual(expect.arrayContaining([...quarantined]));
    const lsns: number[] = [];
    await replayQuarantine(quarantine).forEach(({ lsn }) => {
      lsns.push(lsn);
    });
    // A batch is left out as a whole.
    expect(lsns).not.toContain(30);
    expect(lsns).toContain(33);
    await again.shutdown();
  });

  test('that is none, or a log, is refused with what to give instead', async () => {
    const directory = temporaryDirectory();
    expect(() => [...replayQuarantine(directory)]).toThrow(expect.objectContaining({ code: 'WAL_NOT_FOUND' }));
    const wal = await salvaged(join(directory, 'log'), 27);
    const { quarantine } = wal.recovery.salvage as { quarantine: string };
    // Without `quarantine: true` it is taken for a log whose salvage has not ended.
    expect(await rejection(wal.importFrom(quarantine))).toMatchObject({ code: 'WAL_CORRUPT' });
    expect(() => replayQuarantine(quarantine, { from: 0 })).toThrow(RangeError);
    expect(() => replayQuarantine(quarantine, { onUnreadable: 1 as never })).toThrow(TypeError);
    await wal.shutdown();
  });

  const numberIn = ({ payload }: { payload: Uint8Array }): number => Number(text(payload).split(' ')[1]);

  /** A log that was cut behind LSN 50, and went on with events 1051 to `last`; `damages` are LSNs of records that are damaged. */
  async function cutAndSalvaged(
    directory: string,
    mode: 'salvage' | 'skip-corrupt',
    damages: number[],
    last = 1070,
  ): Promise<Wal> {
    const options = { ...SMALL, segmentBytes: 64 * 1024 };
    const wal = await Wal.open(directory, options);
    for (const number of numbers(1, 100)) wal.append(payloadOf(number));
    await wal.sync();
    await wal.truncateAfter(50);
    for (const number of numbers(1051, last)) wal.append(payloadOf(number));
    await wal.shutdown();
    for (const lsn of damages) {
      const { path } = wal.listSegments().findLast(({ firstLsn }) => firstLsn <= lsn) as { path: string };
      flip(path, offsetOf(path, lsn) + 80);
    }
    return await Wal.open(directory, { ...options, recoveryMode: mode });
  }

  test('does not bring back what truncateAfter had removed', async () => {
    for (const [damages, later] of [
      [[20], []],
      [[20, 60], numbers(1051, 1070).filter((number) => number !== 1060)],
    ] as const) {
      const directory = temporaryDirectory();
      const wal = await cutAndSalvaged(join(directory, 'log'), 'skip-corrupt', [...damages]);
      const { quarantine } = wal.recovery.salvage as { quarantine: string };
      await wal.shutdown();
      const parts: UnreadablePart[] = [];
      const replay = replayQuarantine(quarantine, { onUnreadable: (part) => parts.push(part) });
      const expected = [...numbers(1, 50).filter((number) => number !== 20), ...later];
      expect(Array.from(replay, numberIn)).toEqual(expected);
      expect(parts.map(({ firstLsn, lastLsn }) => [firstLsn, lastLsn])).toEqual(damages.map((lsn) => [lsn, lsn]));
      const other = await Wal.open(join(directory, 'other'), SMALL);
      expect((await other.importFrom(quarantine, { quarantine: true })).records).toBe(expected.length);
      expect(await numbersIn(other)).toEqual(expected);
      await other.shutdown();
    }
  });

  test.each([
    [50, 'also where an earlier salvage has taken out the segment that shows it'],
    [30, 'and later cuts do not count for what an earlier salvage has taken out'],
  ])('does not bring back what truncateAfter had removed: behind LSN %s, %s', async (cut) => {
    const path = join(temporaryDirectory(), 'log');
    // The second segment cuts the first one behind LSN 50, and is given up.
    const first = await cutAndSalvaged(path, 'salvage', [51]);
    await first.truncateAfter(cut);
    for (const number of numbers(2001, 2010)) first.append(payloadOf(number));
    await first.shutdown();
    const [{ path: file }] = first.listSegments() as [SegmentMeta];
    flip(file, offsetOf(file, 1) + 80);
    const second = await Wal.open(path, { ...SMALL, recoveryMode: 'salvage' });
    await second.shutdown();
    const inQuarantine = [second, first].map(({ recovery }) =>
      Array.from(replayQuarantine((recovery.salvage as SalvageReport).quarantine), numberIn),
    );
    expect(inQuarantine).toEqual([[...numbers(2, cut), ...numbers(2001, 2010)], numbers(1052, 1070)]);
  });

  /** A log of three segments that is damaged at two records, at the second one while the salvage around the first is interrupted. */
  async function inTwoRounds(
    mode: 'salvage' | 'skip-corrupt',
    [damaged, lsn]: readonly [number, number],
  ): Promise<SalvageReport> {
    const path = join(temporaryDirectory(), 'log');
    const first = await cutAndSalvaged(path, 'skip-corrupt', [damaged], 1300);
    const { quarantine } = first.recovery.salvage as SalvageReport;
    await first.shutdown();
    expect(first.listSegments().map((segment) => segment.firstLsn)).toEqual([1, 51, 246, 301]);
    renameSync(join(quarantine, 'salvage'), join(path, 'salvage'));
    const { path: file } = first.listSegments().findLast(({ firstLsn }) => firstLsn <= lsn) as SegmentMeta;
    flip(file, offsetOf(file, lsn) + 80);
    const wal = await Wal.open(path, { ...SMALL, recoveryMode: mode });
    await wal.shutdown();
    const report = wal.recovery.salvage as SalvageReport;
    expect(report.quarantine).toBe(quarantine);
    return report;
  }

  test('of a salvage in two rounds does not bring back what truncateAfter had removed', async () => {
    const { quarantine } = await inTwoRounds('skip-corrupt', [20, 280]);
    const expected = [...numbers(1, 50), ...numbers(1246, 1300)];
    const found = Array.from(replayQuarantine(quarantine), numberIn);
    expect(found).toEqual(expected.filter((number) => number !== 20 && number !== 1280));
  });

  test.each([
    [
      'salvage',
      [20, 280],
      [
        [20, 20],
        [280, 300],
      ],
    ],
    ['salvage', [280, 60], [[60, 300]]],
    [
      'skip-corrupt',
      [20, 280],
      [
        [20, 20],
        [280, 280],
      ],
    ],
    [
      'skip-corrupt',
      [280, 60],
      [
        [60, 60],
        [280, 280],
      ],
    ],
  ] as const)(
    'of two rounds, the second one with %s, is listed whole, and so is what both have lost: %s',
    async (...args) => {
      const [mode, damages, lost] = args;
      const report = await inTwoRounds(mode, damages);
      const there = readdirSync(report.quarantine).filter((name) => name !== 'salvage');
      expect([...report.quarantined].sort()).toEqual(there);
      expect(report.lost.map(({ fromLsn, toLsn }) => [fromLsn, toLsn])).toEqual(lost);
    },
  );

  test('of a salvage that keeps a prefix is cut where the next segment in it begins', async () => {
    const directory = temporaryDirectory();
    const wal = await cutAndSalvaged(join(directory, 'log'), 'salvage', [20]);
    const { quarantine } = wal.recovery.salvage as { quarantine: string };
    const [first] = wal.listSegments();
    const { path } = first as { path: string };
    cpSync(path, join(quarantine, path.split('/').at(-1) as string));
    await wal.shutdown();
    const expected = [...numbers(1, 50).filter((number) => number !== 20), ...numbers(1051, 1070)];
    expect(Array.from(replayQuarantine(quarantine), numberIn)).toEqual(expected);
  });

  test('of a salvage that keeps a prefix is cut where a file with a damaged header began', async () => {
    for (const mode of ['salvage', 'skip-corrupt'] as const) {
      const directory = temporaryDirectory();
      const path = join(directory, 'log');
      await (await cutAndSalvaged(path, 'skip-corrupt', [])).shutdown();
      const [first, second] = readdirSync(path).filter((name) => name.endsWith('.seg')) as [string, string];
      flip(join(path, first), offsetOf(join(path, first), 1) + 80);
      flip(join(path, second), 50);
      const salvageLsn = mode === 'salvage' ? { salvageLsn: 1 } : {};
      const wal = await Wal.open(path, { ...SMALL, recoveryMode: mode, ...salvageLsn });
      const { quarantine } = wal.recovery.salvage as { quarantine: string };
      await wal.shutdown();
      expect(readdirSync(quarantine)).toEqual(expect.arrayContaining([first, second]));
      expect(Array.from(replayQuarantine(quarantine), numberIn)).toEqual(numbers(2, 50));
      // A file that the salvage has not put there shows nothing.
      writeFileSync(join(quarantine, 'wal-0000000002-00000000000000000021.seg.1'), 'no segment');
      writeFileSync(join(quarantine, 'wal-0000000003-00000000000000000021.seg'), 'no segment');
      expect(Array.from(replayQuarantine(quarantine), numberIn)).toEqual(numbers(2, 50));
    }
  });

  test('whose files have records with the same LSNs continues behind the record that an aborted import has reached', async () => {
    const directory = temporaryDirectory();
    const wal = await salvaged(join(directory, 'log'), 27);
    const { quarantine } = wal.recovery.salvage as { quarantine: string };
    await wal.shutdown();
    const names = readdirSync(quarantine).filter((name) => name.endsWith('.seg'));
    for (const name of names.slice(1, 3)) cpSync(join(quarantine, name), join(quarantine, `${name}.1`));
    const all = Array.from(replayQuarantine(quarantine, { from: 40 }), numberIn);
    expect(new Set(all).size).toBeLessThan(all.length);
    const other = await Wal.open(join(directory, 'other'), SMALL);
    let after: { file: string; lsn: number } | undefined;
    for (let aborted = 0; ; aborted++) {
      expect(aborted).toBeLessThan(all.length);
      const stop = new AbortController();
      let last: ImportReport | undefined;
      const onProgress = (report: ImportReport): void => {
        last = report;
        stop.abort();
      };
      try {
        const options = { quarantine: true, from: 40, groupBytes: 1000, signal: stop.signal, onProgress } as const;
        await other.importFrom(quarantine, after === undefined ? options : { ...options, after });
        expect(aborted).toBeGreaterThan(10);
        break;
      } catch (error) {
        const { lsn, path, message } = error as WalError;
        const { sourceFile, sourceLsn } = last as ImportReport;
        expect(path).toBe(join(quarantine, sourceFile as string));
        expect(lsn).toBe(sourceLsn);
        // As the error has it, or as the report has it.
        after = { file: (aborted % 2 === 1 ? path : sourceFile) as string, lsn: sourceLsn };
        expect(message).toContain(`after: { file: '${sourceFile}', lsn: ${sourceLsn} }`);
        if (aborted === 0) continue;
        // Stopped at once it is where it was.
        const { signal } = stop;
        const again = await rejection(other.importFrom(quarantine, { quarantine: true, from: 40, after, signal }));
        expect(again).toMatchObject({ code: 'WAL_ABORTED', lsn, path });
      }
    }
    expect(await numbersIn(other)).toEqual(all);
    expect(
      Array.from(replayQuarantine(quarantine, { from: 40, after: after as { file: string; lsn: number } })),
    ).toEqual([]);
    const position = { file: 'wal-0000000099-00000000000000000500.seg', lsn: 1 };
    expect(() => [...replayQuarantine(quarantine, { after: position })]).toThrow(
      expect.objectContaining({ code: 'WAL_NOT_FOUND' }),
    );
    // A path leads to this directory, or to no file of it.
    const elsewhere = { ...position, file: join(directory, names[0] as string) };
    expect(() => [...replayQuarantine(quarantine, { after: elsewhere })]).toThrow(
      expect.objectContaining({ code: 'WAL_NOT_FOUND' }),
    );
    expect(() => replayQuarantine(quarantine, { after: { ...position, lsn: -1 } })).toThrow(RangeError);
    expect(() => replayQuarantine(quarantine, { after: { lsn: 1 } as never })).toThrow(TypeError);
    expect(await rejection(other.importFrom(quarantine, { after: position }))).toBeInstanceOf(TypeError);
    await other.shutdown();
  });
});
