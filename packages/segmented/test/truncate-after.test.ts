import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { join } from 'node:path';
import { decodeCheckpoint } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, ioSteps, runSync } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { BACKENDS } from './support/environments.js';
import { readFile, restore, segmentNames, snapshot } from './support/files.js';
import { DIRECTORY, make, openIn, texts } from './support/logs.js';

const payloads = async (wal: SegmentedWal): Promise<[number, string][]> => {
  const found: [number, string][] = [];
  for await (const { lsn, payload } of wal.replay()) found.push([lsn, Buffer.from(payload).toString().trim()]);
  return found;
};

const written = (from: number, to: number, by: string): [number, string][] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => [from + index, `${by} ${from + index}`]);

describe.each(BACKENDS)('on %s', (_name, create) => {
  const filled = async (records = 40) => {
    const io = create();
    const directory = directoryFor(io);
    const config = { directory, io, segmentBytes: 4096, blockBytes: 512 };
    const wal = await SegmentedWal.open(config);
    const append = async (to: number, by: string): Promise<void> => {
      while (wal.nextLsn <= to) wal.append(`${by} ${wal.nextLsn}`.padEnd(300));
      await wal.sync();
    };
    await append(records, 'old');
    return { io, directory, config, wal, append };
  };

  test.each([1, 7, 20, 39])('drops what is behind LSN %i, and the log goes on with other records', async (lsn) => {
    const { io, config, wal, append } = await filled();
    const before = wal.listSegments().length;
    const result = await wal.truncateAfter(lsn);
    expect([wal.lastLsn, wal.durableLsn, wal.nextLsn]).toEqual([lsn, lsn, lsn + 1]);
    expect(await payloads(wal)).toEqual(written(1, lsn, 'old'));
    expect(result.segmentsDeleted + result.segmentsRecycled).toBe(before + 1 - wal.listSegments().length);
    await append(lsn + 5, 'new');
    const expected = [...written(1, lsn, 'old'), ...written(lsn + 1, lsn + 5, 'new')];
    expect(await payloads(wal)).toEqual(expected);
    await wal.close();
    const again = await SegmentedWal.open(config);
    expect(again.recovery).toMatchObject({ cleanlyClosed: true, records: lsn + 5 });
    expect(await payloads(again)).toEqual(expected);
    const chain = (log: SegmentedWal) =>
      log.listSegments().map(({ id, firstLsn, firstPosition }) => [id, firstLsn, firstPosition]);
    expect(chain(again)).toEqual(chain(wal));
    await again.close();
    await io.dispose();
  });

  test('at the last LSN it changes nothing, and at the one before the first it empties the log', async () => {
    const { io, config, wal, append } = await filled();
    const segments = wal.listSegments();
    expect(await wal.truncateAfter(40)).toMatchObject({ segmentsDeleted: 0, segmentsRecycled: 0 });
    expect(wal.listSegments()).toEqual(segments);
    await wal.truncateBefore(20);
    const { firstLsn } = wal;
    await wal.truncateAfter(firstLsn - 1);
    expect([wal.firstLsn, wal.lastLsn, wal.listSegments().length]).toEqual([firstLsn, firstLsn - 1, 1]);
    await append(firstLsn + 2, 'new');
    await wal.close();
    const again = await SegmentedWal.open(config);
    expect(await payloads(again)).toEqual(written(firstLsn, firstLsn + 2, 'new'));
    await expect(again.truncateAfter(firstLsn - 2)).rejects.toMatchObject({ code: 'WAL_TRUNCATED', firstLsn });
    await again.truncateAfter(firstLsn);
    expect(await payloads(again)).toEqual(written(firstLsn, firstLsn, 'new'));
    await again.close();
    await io.dispose();
  });

  test.each([
    ['ahead of all', 1000],
    ['among what there is', 20],
    ['at the next one', 41],
  ])('resetTo leaves an empty log that goes on with an LSN %s', async (_where, lsn) => {
    const { io, config, wal, append } = await filled();
    const { firstPosition, sizeBytes } = wal.listSegments().at(-1) ?? { firstPosition: 0, sizeBytes: 0 };
    await wal.resetTo(lsn);
    expect([wal.firstLsn, wal.nextLsn, wal.lastLsn, wal.durableLsn]).toEqual([lsn, lsn, lsn - 1, lsn - 1]);
    expect(await payloads(wal)).toEqual([]);
    const [only, ...others] = wal.listSegments();
    expect(others).toEqual([]);
    expect(only?.firstPosition).toBe(firstPosition + Math.ceil(sizeBytes / 512) * 512 - 512);
    const id = only?.id;
    await wal.resetTo(lsn);
    expect(wal.listSegments().map((each) => each.id)).toEqual([id]);
    await append(lsn + 20, 'new');
    await wal.close();
    const again = await SegmentedWal.open(config);
    expect(await payloads(again)).toEqual(written(lsn, lsn + 20, 'new'));
    await again.close();
    await io.dispose();
  });

  test('is refused nothing that was appended before it, and refuses what comes before it is done', async () => {
    const { io, wal } = await filled();
    const lastLsn = wal.append('pending'.padEnd(5000));
    const syncs = [wal.sync(), wal.sync()];
    const cut = wal.truncateAfter(10);
    expect(() => wal.append('too early')).toThrow(expect.objectContaining({ code: 'WAL_STATE', state: 'truncating' }));
    // Who waits for what is cut is not left waiting.
    await Promise.all([...syncs, cut]);
    expect(lastLsn).toBe(41);
    expect(wal.append('in time')).toBe(11);
    await wal.sync();
    expect((await payloads(wal)).at(-1)).toEqual([11, 'in time']);
    await wal.close();
    await io.dispose();
  });

  test('ends an iteration that was to read what is gone, and no other', async () => {
    const { io, wal } = await filled(200);
    const short = wal.replayFromLimit(1, 3);
    const doomed = wal.replay()[Symbol.asyncIterator]();
    expect((await doomed.next()).value).toMatchObject({ lsn: 1 });
    expect((await short).records).toHaveLength(3);
    await wal.truncateAfter(10);
    const rest = (async () => {
      while ((await doomed.next()).done !== true);
    })();
    await expect(rest).rejects.toMatchObject({ code: 'WAL_TRUNCATED', lsn: 11 });
    await wal.close();
    await io.dispose();
  });

  test('checkpoint and holds that are ahead go back to what is left', async () => {
    const { io, directory, wal, config } = await filled();
    await wal.checkpoint(30);
    await wal.hold('ahead', 35);
    await wal.hold('behind', 3);
    await wal.truncateAfter(20);
    expect([wal.checkpointLsn, wal.holds]).toEqual([20, { ahead: 20, behind: 3 }]);
    await wal.resetTo(100);
    expect([wal.checkpointLsn, wal.holds]).toEqual([20, { ahead: 100, behind: 100 }]);
    await wal.resetTo(7);
    expect([wal.checkpointLsn, wal.holds]).toEqual([6, { ahead: 7, behind: 7 }]);
    await wal.close();
    const again = await SegmentedWal.open(config);
    expect([again.checkpointLsn, again.holds]).toEqual([6, { ahead: 7, behind: 7 }]);
    await again.close();
    expect(io.list(directory)).toContain('checkpoint');
    await io.dispose();
  });
});

test('the blocking forms do the same', () => {
  const io = createMemoryStorageIo();
  const wal = openIn(io, { segmentBytes: 1024 });
  for (let lsn = 1; lsn <= 20; lsn++) wal.append(`old ${lsn}`.padEnd(200));
  wal.truncateAfterSync(11);
  wal.append('new 12');
  wal.syncSync();
  expect(texts(wal.replayFrom(11)).map((text) => text.trim())).toEqual(['old 11', 'new 12']);
  wal.resetToSync(50);
  expect(wal.append('fifty')).toBe(50);
  wal.closeSync();
  expect(texts(openIn(io).replay())).toEqual(['fifty']);
});

test('no byte of what is kept is changed, and old bytes that come back do not count', () => {
  const made = make({ groups: Array.from({ length: 12 }, () => [200]), config: { segmentBytes: 2048 } });
  const io = restore(made.files);
  const wal = openIn(io, { segmentBytes: 2048 });
  wal.truncateAfterSync(9);
  wal.append('other');
  wal.syncSync();
  const after = snapshot(io, DIRECTORY);
  for (const name of segmentNames(made.files)) {
    const now = after.get(name);
    if (now === undefined) continue;
    expect(Buffer.compare(now.subarray(0, 1000), (made.files.get(name) as Uint8Array).subarray(0, 1000))).toBe(0);
    // As if a killed process' writes landed in it late.
    const file = io.open(join(DIRECTORY, name));
    runSync(io, ioSteps.write(io, file, made.files.get(name) as Uint8Array, 0));
    io.close(file);
  }
  const again = openIn(restore(snapshot(io, DIRECTORY)));
  expect(texts(again.replay())).toEqual([...made.payloads.slice(1, 10), 'other']);
});

test('a log that was cut and not closed recovers to the cut, and its leftovers are removed', () => {
  const io = createMemoryStorageIo();
  const wal = openIn(io, { segmentBytes: 1024, recycleSegments: 0 });
  for (let lsn = 1; lsn <= 20; lsn++) wal.append(`old ${lsn}`.padEnd(200));
  wal.syncSync();
  const before = snapshot(io, DIRECTORY);
  wal.truncateAfterSync(11);
  const cut = snapshot(io, DIRECTORY);
  // A crash between the new segment's name and the removal of the old files.
  const crashed = restore(new Map([...before, ...cut]));
  const again = openIn(crashed, { segmentBytes: 1024 });
  expect(again.recovery).toMatchObject({ records: 11, lastLsn: 11 });
  expect(segmentNames(snapshot(crashed, DIRECTORY)).length).toBe(again.listSegments().length);
  again.closeSync();
});

test('the checkpoint goes back durably before the log is cut', () => {
  const io = createMemoryStorageIo();
  const wal = openIn(io, { segmentBytes: 1024 });
  for (let lsn = 1; lsn <= 20; lsn++) wal.append(`old ${lsn}`.padEnd(200));
  wal.checkpointSync(18);
  wal.truncateAfterSync(11);
  const path = join(DIRECTORY, 'checkpoint');
  expect(decodeCheckpoint(readFile(io, path), path).checkpointLsn).toBe(11);
  const again = openIn(restore(snapshot(io, DIRECTORY)));
  expect(again.lastLsn).toBe(11);
});

test('a submitted sync whose records were cut off is done, unless others with their LSNs were submitted since', () => {
  const wal = openIn(createMemoryStorageIo());
  for (let lsn = 1; lsn <= 10; lsn++) wal.append('old');
  const ten = wal.submitSync();
  wal.truncateAfterSync(5);
  expect([ten, wal.durableLsn]).toEqual([10, 5]);
  expect(wal.checkCompletions(ten)).toBe(true);
  for (let lsn = 6; lsn <= 12; lsn++) wal.append('new');
  expect(wal.checkCompletions(ten)).toBe(true);
  expect(wal.checkCompletions(12)).toBe(false);
  expect(wal.submitSync()).toBe(12);
  expect(wal.durableLsn).toBe(5);
  // From now on it stands for the records that have its LSNs now.
  while (!wal.checkCompletions(ten)) expect(wal.durableLsn).toBeLessThan(10);
  while (!wal.checkCompletions(12));
  expect(wal.checkCompletions(ten)).toBe(true);
  wal.resetToSync(3);
  expect(wal.checkCompletions(12)).toBe(true);
  expect(wal.checkCompletions(13)).toBe(false);
  wal.closeSync();
});

test('a cut is announced also when it removes no file, and not when it changes nothing', () => {
  const heard: object[] = [];
  const listener = (message: unknown): void => void heard.push(message as object);
  subscribe('walstack:truncate', listener);
  try {
    const wal = openIn(createMemoryStorageIo());
    for (let lsn = 1; lsn <= 10; lsn++) wal.append('old');
    wal.truncateAfterSync(10);
    expect(heard).toEqual([]);
    wal.truncateAfterSync(5);
    expect(heard).toMatchObject([{ directory: DIRECTORY, firstLsn: 1, lastLsn: 5, segmentsDeleted: 0 }]);
    wal.closeSync();
  } finally {
    unsubscribe('walstack:truncate', listener);
  }
});

test('a listener that throws neither undoes a cut nor keeps it from the other listeners', async () => {
  const io = createMemoryStorageIo();
  const wal = await SegmentedWal.open({ directory: '/log', io });
  for (let lsn = 1; lsn <= 10; lsn++) wal.append('x');
  await wal.sync();
  const told: number[] = [];
  wal.keepFor(
    () => 1,
    () => {
      throw new Error('a listener of the application');
    },
  );
  wal.keepFor(
    () => 1,
    (lastLsn) => told.push(lastLsn),
  );
  const uncaught: unknown[] = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => uncaught.push(error));
  try {
    await wal.truncateAfter(5);
    await new Promise(setImmediate);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  }
  expect([wal.lastLsn, told, uncaught.map(String)]).toEqual([5, [5], ['Error: a listener of the application']]);
  await wal.close();
});

test('a cut has taken effect or not, whichever file the backend does not close', async () => {
  const outcomes = new Set<string>();
  for (let which = 1; ; which++) {
    const io = createMemoryStorageIo();
    const close = io.close.bind(io);
    let left = Number.POSITIVE_INFINITY;
    io.close = (file) => {
      if (--left !== 0) return close(file);
      throw new Error('of the backend');
    };
    const wal = openIn(io);
    for (const payload of ['a', 'b', 'c']) wal.append(payload);
    wal.syncSync();
    left = which;
    const isCut = await wal.truncateAfter(1).then(
      () => true,
      () => false,
    );
    if (isCut && left > 0) break;
    left = Number.POSITIVE_INFINITY;
    const { lastLsn, durableLsn, failure } = wal;
    expect(durableLsn).toBe(lastLsn);
    if (failure === undefined) wal.syncSync();
    await wal.close().catch(() => {});
    const again = openIn(io);
    expect(texts(again.replay())).toEqual(lastLsn === 1 ? ['a'] : ['a', 'b', 'c']);
    again.closeSync();
    outcomes.add(`${isCut} ${lastLsn} ${failure === undefined}`);
  }
  expect(outcomes).toContain('false 1 false');
});
