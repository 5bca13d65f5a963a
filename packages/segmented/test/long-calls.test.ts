import { KeyRing, WalError } from '@walstack/codec';
import { replayDirectory } from '@walstack/mmap-reader';
import { type Replay, SegmentedWal, type SegmentedWalConfig, type WalProgress } from '@walstack/segmented';
import { createMemoryStorageIo, runAsync, type StorageIo } from '@walstack/storage-io';
import { setTurnClock, turnNumber } from '@walstack/storage-io/internal';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { ringOf } from '../../../harness/test-kit/keys.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { abortedInTurn, looksDuring, turnsByLooks } from '../../../harness/test-kit/turn-clock.js';
import { BACKENDS } from './support/environments.js';
import { changed, flip, restore, type Snapshot, sameFiles, segmentNames, snapshot } from './support/files.js';
import { DIRECTORY, make, recordsOf } from './support/logs.js';

const RECORDS = 600;

const CONFIG = { blockBytes: 512, segmentBytes: 4096, markAfterMs: 0 } as const;

/** A log of some 40 segments that was killed: the last records are behind a torn tail. */
const killed = make({
  groups: Array.from({ length: RECORDS / 10 }, () => Array.from({ length: 10 }, () => 200)),
  unsynced: [200],
  config: CONFIG,
});

/** The same log, cut off in the middle of a record. */
function torn(): Snapshot {
  const name = segmentNames(killed.files).at(-1) as string;
  return changed(killed.files, name, (bytes) => bytes.slice(0, (recordsOf(bytes).at(-1)?.end as number) - 3));
}

/** With one byte of an acknowledged record inverted. */
function damaged(): Snapshot {
  const name = segmentNames(killed.files)[20] as string;
  const record = recordsOf(killed.files.get(name) as Uint8Array)[3];
  return changed(killed.files, name, flip((record?.start as number) + 50));
}

/** With room behind its records that was prepared for more. */
function prepared(): Snapshot {
  const name = segmentNames(killed.files).at(-1) as string;
  return changed(killed.files, name, (bytes) => Buffer.concat([bytes, new Uint8Array(2 * 1024 * 1024)]));
}

const configOf = (io: StorageIo, more: Partial<SegmentedWalConfig> = {}): SegmentedWalConfig => ({
  directory: DIRECTORY,
  io,
  ...CONFIG,
  ...more,
});

/** A backend that counts the files that are open. */
function counting(io: StorageIo): { readonly io: StorageIo; readonly open: () => number } {
  let open = 0;
  const counted: Partial<StorageIo> = {
    open: (...args: Parameters<StorageIo['open']>) => {
      const file = io.open(...args);
      open++;
      return file;
    },
    close: (file: Parameters<StorageIo['close']>[0]) => {
      io.close(file);
      open--;
    },
  };
  const proxy = new Proxy(io, {
    get: (target, name) => {
      const own = Reflect.get(counted, name);
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { io: proxy, open: () => open };
}

/** Expects that a call asks so often at least whether a turn is due, and waits for each that is. */
async function expectTurns(call: () => Promise<unknown>, least: number): Promise<void> {
  const { looks, most } = await looksDuring(call);
  expect(looks).toBeGreaterThan(least);
  expect(most).toBeLessThan(10);
}

/** Collects progress, and checks that it is one. */
class Told {
  readonly all: WalProgress[] = [];

  readonly note = (progress: WalProgress): void => void this.all.push(progress);

  get phases(): string[] {
    return [...new Set(this.all.map(({ phase }) => phase))];
  }

  /** @param records - read by a call that has succeeded */
  check(records: number): void {
    expect(this.all.length).toBeGreaterThan(3);
    for (const [index, { bytes, totalBytes, records }] of this.all.entries()) {
      const before = this.all[index - 1] ?? { bytes: 0, totalBytes: 0, records: 0 };
      expect(bytes).toBeGreaterThanOrEqual(before.bytes);
      expect(totalBytes).toBeGreaterThanOrEqual(before.totalBytes);
      expect(records).toBeGreaterThanOrEqual(before.records);
      expect(bytes).toBeLessThanOrEqual(totalBytes);
    }
    const last = this.all.at(-1);
    expect(last?.bytes).toBe(last?.totalBytes);
    expect(last?.totalBytes).toBeGreaterThan(0);
    expect(last?.records).toBe(records);
    // Not all at the end.
    expect(this.all.some(({ bytes, totalBytes }) => bytes > 0 && bytes < totalBytes)).toBe(true);
  }
}

let told: Told;
beforeEach(() => {
  told = new Told();
});

describe.each(BACKENDS)('on %s', (_name, createIo) => {
  test('reading gives the event loop its turn, also with a filter that leaves everything out', async () => {
    const io = createIo();
    const wal = await SegmentedWal.open({ directory: directoryFor(io), io, ...CONFIG });
    for (let lsn = 1; lsn <= RECORDS; lsn++) wal.append(`event ${lsn} `.padEnd(200), { type: lsn % 2 });
    await wal.sync();
    const all = wal.replay({ copy: false });
    await expectTurns(() => all.forEach(() => {}), RECORDS / 2);
    const each = async (): Promise<void> => {
      for await (const _record of wal.replay());
    };
    await expectTurns(each, RECORDS / 2);
    await expectTurns(() => wal.replayFromLimit(1, RECORDS), RECORDS / 2);
    const segments = wal.listSegments().length;
    await expectTurns(() => wal.replay({ types: [7] }).forEach(() => {}), segments / 2);
    await wal.close();
    await io.dispose();
  });

  test('opening gives the event loop its turn', async () => {
    const io = createIo();
    const config = { directory: directoryFor(io), io, ...CONFIG };
    const wal = await SegmentedWal.open(config);
    for (let lsn = 1; lsn <= RECORDS; lsn++) wal.append('x'.repeat(100));
    await wal.close();
    const segments = wal.listSegments().length;
    await expectTurns(() => SegmentedWal.recover(config), segments / 2);
    const readonly = { ...config, recoveryMode: 'readonly' } as const;
    await expectTurns(() => SegmentedWal.recover(readonly), segments / 2);
    await io.dispose();
  });
});

describe('opening', () => {
  test.each([
    ['a torn tail', torn, {}, ['verify', 'search'], 600],
    ['prepared blocks', prepared, {}, ['verify', 'search'], 601],
    ['a log of another process', torn, { recoveryMode: 'readonly' }, ['verify', 'search'], 600],
  ] as const)('with %s reports how far it is', async (_name, files, config, phases, records) => {
    turnsByLooks(3);
    const io = restore(files());
    const report = await SegmentedWal.recover(configOf(io, { ...config, onProgress: told.note }));
    expect(report.records).toBe(records);
    told.check(records);
    expect(told.phases).toEqual(phases);
  });

  test('of a damaged log reports what it reads for the salvage, too', async () => {
    turnsByLooks(3);
    const io = restore(damaged());
    const wal = await SegmentedWal.open(configOf(io, { recoveryMode: 'salvage', onProgress: told.note }));
    expect(told.phases).toEqual(['verify', 'salvage']);
    const records = told.all.at(-1)?.records as number;
    told.check(records);
    expect(records).toBeGreaterThan(wal.lastLsn);
    await wal.close();
  });

  test('calls back at most once in a turn, and once at the end', async () => {
    turnsByLooks(0);
    await SegmentedWal.recover(configOf(restore(torn()), { onProgress: told.note }));
    expect(told.all).toHaveLength(1);
    expect(told.all[0]).toMatchObject({ phase: 'search', records: 600 });
    expect(told.all[0]?.bytes).toBe(told.all[0]?.totalBytes);
  });

  test('of a new log reports that there is nothing to read', async () => {
    const wal = await SegmentedWal.open(configOf(createMemoryStorageIo(), { onProgress: told.note }));
    expect(told.all).toEqual([{ phase: 'verify', bytes: 0, totalBytes: 0, records: 0 }]);
    await wal.close();
  });

  test('reports in the blocking form, too', () => {
    turnsByLooks(3);
    const wal = SegmentedWal.openSync(configOf(restore(torn()), { onProgress: told.note }));
    wal.closeSync();
    told.check(600);
  });

  const MODES = [
    ['strict', torn, {}],
    ['salvage', damaged, { recoveryMode: 'salvage' }],
    ['readonly', torn, { recoveryMode: 'readonly' }],
    ['strict, with prepared blocks', prepared, {}],
    ['salvage, of an intact log', torn, { recoveryMode: 'salvage' }],
  ] as const;

  describe.each(MODES)('in mode %s', (_mode, filesOf, config) => {
    test('ends with its signal in whatever turn, changes nothing, and releases everything', async () => {
      const files = filesOf();
      let ended = 0;
      for (let turn = 1; ; turn++) {
        turnsByLooks(4);
        const { io, open } = counting(restore(files));
        const reason = new Error('too long');
        const opening = SegmentedWal.open(configOf(io, { ...config, signal: abortedInTurn(turn, reason) }));
        const wal = await opening.catch((error: unknown) => error);
        if (wal instanceof SegmentedWal) {
          await wal.close();
          break;
        }
        ended++;
        expect(wal).toMatchObject({ code: 'WAL_ABORTED', name: 'AbortError', cause: reason });
        expect(open()).toBe(0);
        expect(sameFiles(snapshot(io, DIRECTORY), files)).toBe(true);
        const again = SegmentedWal.openSync(configOf(io, config));
        expect(again.recovery.records).toBeGreaterThan(200);
        again.closeSync();
      }
      expect(ended).toBeGreaterThan(10);
    });

    test('ends with what the callback throws, at whatever call, and releases everything', async () => {
      const files = filesOf();
      let ended = 0;
      for (let call = 1; ; call++) {
        turnsByLooks(4);
        const { io, open } = counting(restore(files));
        const failure =
          call % 2 === 0 ? new Error('of the application') : new WalError('WAL_CORRUPT', 'of another log');
        let calls = 0;
        const onProgress = (): void => {
          if (++calls === call) throw failure;
        };
        const result = await SegmentedWal.open(configOf(io, { ...config, onProgress })).catch((error) => error);
        if (result instanceof SegmentedWal) {
          expect(calls).toBe(call - 1);
          await result.close();
          break;
        }
        ended++;
        expect(result).toBe(failure);
        expect(open()).toBe(0);
        expect(sameFiles(snapshot(io, DIRECTORY), files)).toBe(true);
        SegmentedWal.openSync(configOf(io, config)).closeSync();
      }
      expect(ended).toBeGreaterThan(5);
    });
  });

  test('with an aborted signal touches nothing', async () => {
    const io = createMemoryStorageIo();
    const signal = AbortSignal.abort();
    expect(await rejection(SegmentedWal.open(configOf(io, { signal })))).toMatchObject({ code: 'WAL_ABORTED' });
    expect(thrown(() => SegmentedWal.openSync(configOf(io, { signal })))).toMatchObject({ code: 'WAL_ABORTED' });
    expect(() => io.list(DIRECTORY)).toThrow(expect.objectContaining({ code: 'WAL_NOT_FOUND' }));
  });

  test('is done to its end when the last report aborts it not', async () => {
    const io = restore(torn());
    const controller = new AbortController();
    const onProgress = ({ bytes, totalBytes }: WalProgress): void => {
      if (bytes === totalBytes) controller.abort();
    };
    const opening = SegmentedWal.open(configOf(io, { signal: controller.signal, onProgress }));
    expect(await rejection(opening)).toMatchObject({ code: 'WAL_ABORTED' });
    expect(sameFiles(snapshot(io, DIRECTORY), torn())).toBe(true);
  });

  test('does not see its signal any more when it is open', async () => {
    const controller = new AbortController();
    const wal = await SegmentedWal.open(configOf(restore(torn()), { signal: controller.signal }));
    controller.abort();
    wal.append('x');
    await wal.sync();
    expect(await wal.replay().forEach(() => {})).toBe(RECORDS + 1);
    await wal.close();
  });

  test('ends with its signal while another writer has the lock', async () => {
    const io = restore(torn());
    const holder = await SegmentedWal.open(configOf(io));
    const controller = new AbortController();
    const setTimer = vi.fn(() => () => {});
    const config = configOf(io, { lockTimeoutMs: 60_000, setTimer, signal: controller.signal });
    const opening = rejection(SegmentedWal.open(config));
    await vi.waitFor(() => expect(setTimer).toHaveBeenCalled());
    controller.abort();
    expect(await opening).toMatchObject({ code: 'WAL_ABORTED' });
    await holder.close();
  });

  test('ends with its signal while a key service does not answer', async () => {
    const io = createMemoryStorageIo();
    const wal = await SegmentedWal.open(configOf(io, { keyRing: ringOf(1) }));
    wal.append('secret');
    await wal.close();
    const controller = new AbortController();
    const source = vi.fn(() => new Promise<Uint8Array>(() => {}));
    const silent = KeyRing.fromCallback(1, source);
    const opening = rejection(SegmentedWal.open(configOf(io, { keyRing: silent, signal: controller.signal })));
    await vi.waitFor(() => expect(source).toHaveBeenCalled());
    controller.abort();
    expect(await opening).toMatchObject({ code: 'WAL_ABORTED' });
    const again = await SegmentedWal.open(configOf(io, { keyRing: ringOf(1) }));
    await again.close();
  });

  test.each([
    ['signal', { signal: {} }],
    ['onProgress', { onProgress: 'often' }],
  ])('refuses what is no %s', async (_name, wrong) => {
    const io = createMemoryStorageIo();
    const code = 'ERR_INVALID_ARG_TYPE';
    expect(await rejection(SegmentedWal.open(configOf(io, wrong as never)))).toMatchObject({ code });
    const wal = await SegmentedWal.open(configOf(io));
    expect(() => wal.replay(wrong as never)).toThrow(expect.objectContaining({ code }));
    await wal.close();
  });
});

describe('a replay', () => {
  let wal: SegmentedWal;
  let open: () => number;

  beforeEach(async () => {
    const counted = counting(restore(torn()));
    open = counted.open;
    wal = await SegmentedWal.open(configOf(counted.io));
  });

  const forms = {
    forEach: (replay: AsyncIterable<unknown> & { forEach(f: () => void): Promise<number> }) => replay.forEach(() => {}),
    'for await': async (replay: AsyncIterable<unknown>) => {
      let count = 0;
      for await (const _record of replay) count++;
      return count;
    },
  };

  test.each(Object.entries(forms))('with %s reports how far it is', async (_name, read) => {
    turnsByLooks(1);
    expect(await read(wal.replay({ onProgress: told.note }))).toBe(RECORDS);
    told.check(RECORDS);
    expect(told.phases).toEqual(['read']);
    await wal.close();
  });

  test('with for … of reports at its end how far it is', async () => {
    const calls: WalProgress[] = [];
    expect([...wal.replay({ onProgress: (progress) => calls.push(progress) })].length).toBe(RECORDS);
    const { bytes, totalBytes, records } = calls.at(-1) as WalProgress;
    expect([records, bytes]).toEqual([RECORDS, totalBytes]);
    await wal.close();
  });

  test.each([
    [
      'for … of',
      (replay: Replay, each: () => void) => {
        for (const _record of replay) each();
      },
    ],
    [
      'for await',
      async (replay: Replay, each: () => void) => {
        for await (const _record of replay) each();
      },
    ],
  ])('with %s sees a signal that is aborted at the last record', async (_name, read) => {
    const ended = new AbortController();
    let count = 0;
    const reading = (async () =>
      read(wal.replay({ signal: ended.signal }), () => {
        if (++count === RECORDS) ended.abort();
      }))();
    expect(await rejection(reading)).toMatchObject({ code: 'WAL_ABORTED' });
    expect(count).toBe(RECORDS);
    await wal.close();
  });

  test('sees soon that its reader takes long, when that begins in its midst', async () => {
    let now = 0;
    setTurnClock(() => now);
    onTestFinished(() => setTurnClock());
    let [read, long] = [0, 0];
    let hadTurn = false;
    const take = (): void => {
      if (++read < 300) return;
      if (read === 300) setImmediate(() => (hadTurn = true));
      now += 3;
      if (!hadTurn) long++;
    };
    await wal.replay().forEach(async () => take());
    expect([read, long < 12]).toEqual([RECORDS, true]);
    [read, long, hadTurn] = [0, 0, false];
    for await (const _record of wal.replay()) take();
    expect([read, long < 12]).toEqual([RECORDS, true]);
    await wal.close();
  });

  test('counts what it reads, from the middle on and with a filter', async () => {
    turnsByLooks(5);
    const seen = await wal.replayFrom(301, { types: [9], onProgress: told.note }).forEach(() => {});
    expect(seen).toBe(0);
    told.check(300);
    await wal.close();
  });

  test.each(Object.entries(forms))('with %s ends with its signal, and closes its file', async (_name, read) => {
    turnsByLooks(1);
    const idle = open();
    const signal = abortedInTurn(10);
    expect(await rejection(read(wal.replay({ signal })))).toMatchObject({ code: 'WAL_ABORTED' });
    expect(open()).toBe(idle);
    const aborted = wal.replay({ signal });
    expect(await rejection(read(aborted))).toMatchObject({ code: 'WAL_ABORTED' });
    expect(thrown(() => [...aborted])).toMatchObject({ code: 'WAL_ABORTED' });
    expect(open()).toBe(idle);
    await wal.close();
  });

  test.each(Object.entries(forms))('with %s ends with what the callback throws', async (_name, read) => {
    turnsByLooks(1);
    const idle = open();
    const failure = new Error('of the application');
    let calls = 0;
    const onProgress = (): void => {
      if (++calls === 5) throw failure;
    };
    expect(await rejection(read(wal.replay({ onProgress })))).toBe(failure);
    expect([open(), calls]).toEqual([idle, 5]);
    await wal.close();
  });

  test('lets a log be closed in one of its turns', async () => {
    turnsByLooks(5);
    const idle = open();
    const replay = rejection(wal.replay().forEach(() => {}));
    await new Promise(setImmediate);
    await wal.close();
    expect(await replay).toMatchObject({ code: 'WAL_CLOSED' });
    expect(open()).toBeLessThan(idle);
  });

  test('a reader for routines reports as it advances, and says how far it is', async () => {
    turnsByLooks(5);
    const reader = await wal.openReader('first', { onProgress: told.note });
    let count = 0;
    while (await runAsync(wal.io, reader.advance())) while (reader.next() !== undefined) count++;
    const { bytes, totalBytes, records } = reader.progress;
    expect([count, records, bytes === totalBytes]).toEqual([RECORDS, RECORDS, true]);
    expect(told.all.length).toBeGreaterThan(3);
    reader.close();
    await wal.close();
  });
});

test('replaying what is compressed and encrypted gives the event loop its turn', async () => {
  const io = createMemoryStorageIo();
  const compression = { codec: 'deflate', thresholdBytes: 1 } as const;
  const wal = await SegmentedWal.open(configOf(io, { keyRing: ringOf(1), compression }));
  for (let lsn = 1; lsn <= 200; lsn++) wal.append('again and again '.repeat(10));
  await wal.sync();
  await expectTurns(() => wal.replay().forEach(() => {}), 100);
  await wal.close();
  await expectTurns(() => SegmentedWal.recover(configOf(io, { keyRing: ringOf(1) })), 5);
});

test('a scan of a directory gives the event loop its turn between long payloads that are decompressed', async () => {
  const io = createMemoryStorageIo();
  const wal = await SegmentedWal.open({ directory: DIRECTORY, io, compression: { codec: 'deflate' }, markAfterMs: 0 });
  for (let lsn = 1; lsn <= 200; lsn++) wal.append(new Uint8Array(lsn <= 100 ? 8 : 65_536));
  await wal.close();
  let [now, turn, spent, most] = [0, 0, 0, 0];
  setTurnClock(() => now);
  onTestFinished(() => setTurnClock());
  const count = await replayDirectory(DIRECTORY, { io }).scan(({ payload }) => {
    // As if it took so long to decompress it.
    const ms = payload.length > 8 ? 3 : 0;
    now += ms;
    spent = (turn === turnNumber() ? spent : 0) + ms;
    turn = turnNumber();
    most = Math.max(most, spent);
  });
  expect(count).toBe(200);
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThan(10);
});

test('a search behind a hole of many megabytes gives the event loop its turn', async () => {
  const files = killed.files;
  const name = segmentNames(files).at(-1) as string;
  const junk = new Uint8Array(4 * 1024 * 1024).fill(0x5a);
  const io = restore(changed(files, name, (bytes) => Buffer.concat([bytes.slice(0, 600), junk])));
  const config = configOf(io, { recoveryMode: 'readonly' });
  await expectTurns(() => SegmentedWal.recover(config).catch(() => {}), 16);
});
