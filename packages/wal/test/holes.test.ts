import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MmapWalReader, replayDirectory } from '@walstack/mmap-reader';
import { Wal, WalError, type WalEvent, type WalOptions } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { ringOf } from '../../../harness/test-kit/keys.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';

const SMALL = { segmentBytes: 8192, blockBytes: 512, recycleSegments: 0, io: 'sync-fs' } as const;
const SCOPE = { tenantId: 7n, databaseId: 9n, vshardId: 1 };

const KINDS: readonly (readonly [string, WalOptions])[] = [
  ['plain', {}],
  ['encrypted', { keyRing: ringOf(1) }],
  ['compressed', { compression: { codec: 'deflate', thresholdBytes: 64 } }],
  ['encrypted and compressed', { keyRing: ringOf(1), compression: { codec: 'deflate', thresholdBytes: 64 } }],
];

/** Events of a batch of three, LSNs 31 to 33, and single ones before and behind it. */
const BATCH = [31, 32, 33];
const LAST = 80;

const payloadOf = (lsn: number): string => `event ${lsn} `.padEnd(300, 'abc');

async function made(directory: string, options: WalOptions): Promise<void> {
  const wal = await Wal.open(directory, { ...SMALL, ...options });
  while (wal.lastLsn < LAST) {
    const lsn = wal.lastLsn + 1;
    const about = { type: lsn % 3, meta: `meta ${lsn}`, ...SCOPE };
    if (lsn !== BATCH[0]) await wal.commit(payloadOf(lsn), about);
    else await wal.commitBatch(BATCH.reduce((batch, each) => batch.add(payloadOf(each), about), wal.batch()));
  }
  await wal.shutdown();
}

/** Changes a byte of the frame of a record. @returns the path of its segment */
function damage(wal: Pick<Wal, 'listSegments'>, lsn: number, at: number): string {
  const { path } = wal.listSegments().findLast(({ firstLsn }) => firstLsn <= lsn) as { path: string };
  const reader = MmapWalReader.open(path, { keyRing: ringOf(1) });
  const cursor = reader.cursor();
  while (cursor.next() && cursor.lsn !== lsn);
  const { offset } = cursor;
  reader.close();
  const bytes = readFileSync(path);
  bytes[offset + at] = (bytes[offset + at] as number) ^ 0x10;
  writeFileSync(path, bytes);
  return path;
}

interface Salvaged {
  readonly wal: Wal;
  readonly options: WalOptions;
  /** What is left. */
  readonly lsns: readonly number[];
}

/** A log with one damaged event alone, and one in a batch, salvaged around both. */
async function salvaged(directory: string, kind: WalOptions): Promise<Salvaged> {
  await made(directory, kind);
  const before = await Wal.open(directory, { ...SMALL, ...kind, recoveryMode: 'readonly' });
  // The last one first: a reader of the segment ends at damage.
  damage(before, 32, 40);
  damage(before, 9, 70);
  await before.close();
  expect(await rejection(Wal.open(directory, { ...SMALL, ...kind }))).toMatchObject({ code: 'WAL_CORRUPT', lsn: 9 });
  const wal = await Wal.open(directory, { ...SMALL, ...kind, recoveryMode: 'skip-corrupt' });
  const lost = [9, ...BATCH];
  const lsns = Array.from({ length: LAST }, (_, index) => index + 1).filter((lsn) => !lost.includes(lsn));
  return { wal, options: kind, lsns };
}

const HOLES = [
  { firstLsn: 9, lastLsn: 9, reason: 'unreadable' },
  { firstLsn: 31, lastLsn: 33, reason: 'unreadable' },
];

/** A way of reading events, up to the last one of the log. */
type Reading = (
  salvaged: Salvaged,
  from: number | 'first' | 'checkpoint',
  onHole: 'throw' | 'skip' | undefined,
  found: (event: Pick<WalEvent, 'lsn' | 'payload' | 'meta' | 'type'>) => void,
) => Promise<void>;

const asked = (onHole: 'throw' | 'skip' | undefined) => (onHole === undefined ? {} : { onHole });

const READINGS: Readonly<Record<string, Reading>> = {
  replay: async ({ wal }, from, onHole, found) => {
    await wal.replay(from, found, asked(onHole));
  },
  'replay of views': async ({ wal }, from, onHole, found) => {
    await wal.replay(from, found, { copy: false, ...asked(onHole) });
  },
  'replay with a filter': async ({ wal }, from, onHole, found) => {
    await wal.replay(from, found, { types: [0, 1, 2], scope: SCOPE, ...asked(onHole) });
  },
  iterator: async ({ wal }, from, onHole, found) => {
    for await (const event of wal.iterator(from, asked(onHole))) found(event);
  },
  follow: async ({ wal }, from, onHole, found) => {
    for await (const event of wal.follow(from, asked(onHole))) {
      found(event);
      if (event.lsn === LAST) return;
    }
  },
  'follow in arrays': async ({ wal }, from, onHole, found) => {
    for await (const events of wal.follow(from, { batch: 7, ...asked(onHole) })) {
      for (const event of events) found(event);
      if (events.at(-1)?.lsn === LAST) return;
    }
  },
  'follow in another process': async ({ wal, options }, from, onHole, found) => {
    const { keyRing } = options;
    const ring = keyRing === undefined ? {} : { keyRing };
    for await (const event of Wal.follow(wal.directory, from, { io: 'sync-fs', ...ring, ...asked(onHole) })) {
      found(event);
      if (event.lsn === LAST) return;
    }
  },
  'replayDirectory, blocking': async ({ wal, options: { keyRing } }, from, onHole, found) => {
    const ring = keyRing === undefined ? {} : { keyRing };
    for (const record of replayDirectory(wal.directory, { from, ...ring, ...asked(onHole) })) found(record);
  },
  'replayDirectory in worker threads': async ({ wal, options: { keyRing } }, from, onHole, found) => {
    const ring = keyRing === undefined ? {} : { keyRing };
    const replay = replayDirectory(wal.directory, { from, workers: 2, ...ring, ...asked(onHole) });
    for await (const record of replay) found(record);
  },
  'a cursor of the directory': async ({ wal, options: { keyRing } }, from, onHole, found) => {
    const ring = keyRing === undefined ? {} : { keyRing };
    const replay = replayDirectory(wal.directory, { from, ...ring, ...asked(onHole) });
    const cursor = replay.cursor();
    while (cursor.next()) {
      found({ lsn: cursor.lsn, type: cursor.type, payload: cursor.payload, meta: cursor.meta });
    }
  },
};

describe.each(KINDS)('a log that is %s', (_kind, options) => {
  test('has holes: every reader throws them, resumes behind them, or skips them', async () => {
    const log = await salvaged(join(temporaryDirectory(), 'log'), options);
    const { wal, lsns } = log;
    expect(wal.recovery).toMatchObject({ reason: 'salvaged', mode: 'skip-corrupt', holes: HOLES });
    expect(wal.recovery.records).toBe(lsns.length);
    for (const [name, reading] of Object.entries(READINGS)) {
      const found: number[] = [];
      const take: Parameters<Reading>[3] = ({ lsn, payload, meta, type }) => {
        if (found.length % 17 === 0) {
          expect([text(payload), text(meta), type]).toEqual([payloadOf(lsn), `meta ${lsn}`, lsn % 3]);
        }
        found.push(lsn);
      };
      for (const onHole of [undefined, 'throw'] as const) {
        found.length = 0;
        const error = await rejection(reading(log, 'first', onHole, take));
        expect(error, name).toMatchObject({ code: 'WAL_HOLE', firstLsn: 9, lastLsn: 9, lsn: 9 });
        expect(found, name).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
        // A batch of which an event is lost is lost as a whole.
        const next = await rejection(reading(log, ((error as WalError).lastLsn as number) + 1, onHole, take));
        expect(next, name).toMatchObject({ code: 'WAL_HOLE', firstLsn: 31, lastLsn: 33 });
        await reading(log, 34, onHole, take);
        expect(found, name).toEqual(lsns);
        expect(await rejection(reading(log, 32, onHole, take)), name).toMatchObject({ code: 'WAL_HOLE', firstLsn: 31 });
      }
      found.length = 0;
      await reading(log, 'first', 'skip', take);
      expect(found, name).toEqual(lsns);
      found.length = 0;
      await reading(log, 32, 'skip', take);
      expect(found, name).toEqual(lsns.filter((lsn) => lsn > 33));
    }
    for (const lsn of [9, ...BATCH]) {
      expect(await rejection(wal.read(lsn))).toMatchObject({ code: 'WAL_HOLE' });
    }
    expect((await wal.read(34))?.lsn).toBe(34);

    // The checkpoint is in a hole, at its end, and in front of one.
    for (const [checkpoint, first] of [
      [8, undefined],
      [32, undefined],
      [33, 34],
    ] as const) {
      await wal.checkpoint(checkpoint);
      for (const [name, reading] of Object.entries(READINGS)) {
        const found: number[] = [];
        await reading(log, 'checkpoint', 'skip', ({ lsn }) => found.push(lsn));
        expect(found, name).toEqual(lsns.filter((lsn) => lsn > checkpoint));
        const strictly = reading(log, 'checkpoint', 'throw', () => {});
        if (first === undefined) expect(await rejection(strictly), name).toMatchObject({ code: 'WAL_HOLE' });
        else await strictly;
      }
    }
    await wal.shutdown();
  });

  test('has a hole in a segment: a reader of the file throws it, or skips it', async () => {
    const log = await salvaged(join(temporaryDirectory(), 'log'), options);
    const { wal, lsns } = log;
    await wal.shutdown();
    const ring = options.keyRing === undefined ? {} : { keyRing: options.keyRing };
    const found: number[] = [];
    const thrownIn: number[] = [];
    for (const { path } of wal.listSegments()) {
      const skipping = MmapWalReader.open(path, { onHole: 'skip', ...ring });
      for (const { lsn } of skipping) found.push(lsn);
      skipping.close();
      const strict = MmapWalReader.open(path, ring);
      try {
        for (const { lsn } of strict) expect(lsns).toContain(lsn);
      } catch (error) {
        if (!WalError.is(error, 'WAL_HOLE')) throw error;
        thrownIn.push(error.firstLsn as number);
      } finally {
        strict.close();
      }
    }
    // Where both are in one segment, the first one is thrown.
    expect(thrownIn[0]).toBe(9);
    expect(found).toEqual(lsns);
  });
});

test('a follower that has returned what is in front of a hole goes on behind it, by its position and its resume point', async () => {
  const { wal, lsns } = await salvaged(join(temporaryDirectory(), 'log'), {});
  const follower = wal.follow('first');
  for (let lsn = 1; lsn <= 8; lsn++) expect((await follower.next()).value?.lsn).toBe(lsn);
  const { resumePoint, position } = follower;
  expect(position).toBe(9);
  expect(await rejection(follower.next())).toMatchObject({ code: 'WAL_HOLE', firstLsn: 9 });
  expect(resumePoint).toBeDefined();
  const resumed = wal.follow(resumePoint as NonNullable<typeof resumePoint>, { onHole: 'skip' });
  for (const lsn of lsns.slice(8, 40)) expect((await resumed.next()).value?.lsn).toBe(lsn);
  await resumed.return();
  await wal.shutdown();
});

test('a follower with a name stores that it is behind a hole', async () => {
  const { wal, lsns } = await salvaged(join(temporaryDirectory(), 'log'), {});
  const follower = wal.follow('first', { name: 'reader', onHole: 'skip' });
  for (const lsn of lsns.slice(0, 9)) expect((await follower.next()).value?.lsn).toBe(lsn);
  await follower.acknowledge();
  await follower.return();
  const again = wal.follow('stored', { name: 'reader', onHole: 'skip' });
  expect((await again.next()).value?.lsn).toBe(11);
  await again.return();
  await wal.shutdown();
});

test('truncation counts what is lost, and a cut behind a hole keeps it', async () => {
  const directory = join(temporaryDirectory(), 'log');
  const { wal, lsns } = await salvaged(directory, {});
  await wal.truncateAfter(40);
  expect(await wal.commit(payloadOf(41))).toBe(41);
  await wal.shutdown();
  const again = await Wal.open(directory, SMALL);
  expect(again.recovery.holes).toEqual(HOLES);
  const found: number[] = [];
  await again.replay('first', ({ lsn }) => found.push(lsn), { onHole: 'skip' });
  expect(found).toEqual([...lsns.filter((lsn) => lsn <= 40), 41]);
  await again.truncateBefore(41);
  expect(await again.replay('first', () => {})).toBeGreaterThan(0);
  await again.shutdown();
});

test('options that are not known are refused by each reader', async () => {
  const directory = join(temporaryDirectory(), 'log');
  await using wal = await Wal.open(directory, SMALL);
  const onHole = 'ignore' as 'skip';
  const range = { code: 'ERR_OUT_OF_RANGE' };
  expect(await rejection(wal.replay('first', () => {}, { onHole }))).toMatchObject(range);
  expect(thrown(() => wal.iterator('first', { onHole }))).toMatchObject(range);
  expect(thrown(() => wal.follow('first', { onHole }))).toMatchObject(range);
  expect(thrown(() => Wal.follow(directory, 'first', { onHole }))).toMatchObject(range);
});
