import { readdirSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { available } from '@walstack/native';
import { ringSupport } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { append } from '../src/benches/append/append.js';
import { cold } from '../src/benches/cold/cold.js';
import { crowds } from '../src/benches/crowds/crowds.js';
import { durable } from '../src/benches/durable/durable.js';
import { jetstream } from '../src/benches/jetstream/jetstream.js';
import { log } from '../src/benches/log/log.js';
import { BytesLoop } from '../src/benches/native/bytes-loop.js';
import { native } from '../src/benches/native/native.js';
import { percore, writerCounts } from '../src/benches/percore/percore.js';
import { replay } from '../src/benches/replay/replay.js';
import { turns } from '../src/benches/turns/turns.js';
import { verify } from '../src/benches/verify/verify.js';
import type { Case } from '../src/case.js';
import { Scratch } from '../src/machine/scratch.js';
import { ringLoopMissing, ringMissing } from '../src/ring/missing.js';
import { measureCase } from '../src/rounds.js';
import { type Row, rowOf } from '../src/rows/rows.js';
import { serverMissing } from '../src/servers/cluster.js';
import type { Settings } from '../src/settings.js';
import type { LoopRun } from '../src/yardsticks/durable-loop.js';
import { nativeScanMissing } from '../src/yardsticks/native-scan.js';
import { subjects, temporaryFolder } from './support.js';

const folder = temporaryFolder();

const AMOUNTS = {
  rounds: 1,
  durationMs: 5,
  records: 2000,
  bytes: 1024 * 1024,
  replayRecords: 20_000,
  crashedBytes: 2e6,
  memoryBytes: 16 * 2 ** 20,
  turnBytes: 2 * 2 ** 20,
  verifyBytes: 2 * 2 ** 20,
  coldRecords: 5000,
  openings: 3,
  loneCommits: 20,
};

const everybody = subjects.map(({ name }) => name);
const walstack = everybody.filter((name) => name.startsWith('walstack/'));
const blocking = subjects.filter(({ blocking }) => blocking !== undefined).map(({ name }) => name);
const scan = nativeScanMissing === undefined ? ['native-scan'] : [];
const ring = ringSupport().available ? ['walstack/io-uring'] : [];

const ringLoop = ringLoopMissing(tmpdir()) === undefined ? ['ring-loop'] : [];
const ringAppend = ringMissing() === undefined ? ['ring-append'] : [];

/** Depends on what is there: the addon's binary, a compiler for the yardstick. */
const bytesOf = (yardstick: string): string[] => [
  ...(available ? ['walstack/native'] : []),
  'walstack/javascript',
  ...(BytesLoop.isPossible() ? [yardstick] : []),
];

/** A loop that says it makes most writes a second with four under way. */
const runs: LoopRun[] = [];
const loop = (name: string) => ({
  name,
  how: '',
  run: (run: LoopRun) => {
    runs.push(run);
    return { writesPerSecond: run.depth === 4 ? 50_000 : 10_000, p50Us: 10, p99Us: 20, p999Us: 30, slow: 0.1 };
  },
});

async function measuredOnce(one: Case): Promise<Row[]> {
  for (const { prepare } of one.contestants) await prepare?.();
  const rows: Row[] = [];
  for (const contestant of one.contestants) rows.push(rowOf(one, contestant, [await contestant.measure()]));
  for (const { end } of one.contestants) await end?.();
  return rows;
}

test.each([
  [
    'append',
    append,
    Object.fromEntries([16, 100, 1024, 16_384, 262_144].map((bytes) => [`bytes=${bytes}`, everybody])),
  ],
  [
    'durable',
    durable,
    {
      'committers=1': [...everybody, ...ringLoop, 'native-loop'],
      'committers=8': [...everybody, ...ringLoop, 'native-loop'],
      'committers=64': [...everybody, ...ringLoop, 'native-loop'],
      'committers=512': [...everybody, ...ringLoop, 'native-loop'],
      sync: [...blocking, 'native-loop'],
      'batch=1': blocking,
      'batch=8': blocking,
      'batch=64': blocking,
      'batch=512': blocking,
    },
  ],
  [
    'replay',
    replay,
    {
      views: [...everybody, 'walstack/mmap-reader', ...scan],
      copies: everybody,
      cursor: ['walstack/mmap-reader', ...scan],
      fallback: ['walstack/javascript', ...everybody.filter((name) => !walstack.includes(name))],
      'open-after-crash': [...walstack, ...scan],
      ...Object.fromEntries(
        [2, 4, 8, 16].map((size) => [`memory MiB=${size}`, ['walstack/heap', 'walstack/resident']]),
      ),
    },
  ],
  [
    'cold',
    cold,
    {
      append: [...walstack, 'fs', ...ringAppend],
      'replay copies': [...walstack, 'fs'],
      'replay views': [...walstack, 'fs'],
      'logs=20': walstack,
    },
  ],
  [
    'log',
    log,
    {
      'append segment=1': walstack,
      'append segment=100': walstack,
      'commit steady': walstack,
      'commit rolling': walstack,
      'disk records=0': everybody,
      'disk records=10 sync=1': everybody,
      'disk records=2000 sync=1000': everybody,
      'lone=20': everybody,
      open: everybody,
      'openings=3': walstack,
      'memory idle': walstack,
    },
  ],
  [
    'percore',
    percore,
    Object.fromEntries(
      ['writers=', 'durable writers='].flatMap((name) =>
        writerCounts(availableParallelism()).map((writers) => [`${name}${writers}`, walstack]),
      ),
    ),
  ],
  [
    'crowds',
    crowds,
    {
      ...Object.fromEntries(
        [200, 500, 800, 2000].map((count) => [`commits=${count}`, ['walstack/memory', 'promises']]),
      ),
      ...Object.fromEntries([20, 50, 80, 200].map((count) => [`aborted=${count}`, ['walstack/memory']])),
      ...Object.fromEntries([100, 250, 400, 1000].map((count) => [`durable=${count}`, ['walstack/memory']])),
      ...Object.fromEntries([2, 5, 8, 20].map((count) => [`truncated=${count}`, ['walstack/memory']])),
    },
  ],
  [
    'native',
    native,
    {
      crc32c: bytesOf('native-loop'),
      'crc32c bytes=100': bytesOf('native-loop'),
      seal: bytesOf('native-loop'),
      'append+seal': bytesOf('native-loop'),
      scan: bytesOf('native-scan'),
      'durable-write depth=1': [...ring, 'native-loop', 'fio'],
      'durable-write depth=4': [...ring, 'native-loop', 'fio'],
      'durable-write depth=16': [...ring, 'native-loop', 'fio'],
    },
  ],
  [
    'turns',
    turns,
    Object.fromEntries(
      Object.entries({
        'readers MiB=2': [
          'Wal.recover',
          'Wal.replay',
          'Wal.replay views',
          'Wal.iterator',
          'Wal.follow',
          'Wal.follow batch',
          'replayDirectory for await',
          'replayDirectory forEach',
          'replayDirectory scan',
          'replayDirectory workers=1',
          'LogTail',
        ],
        'encrypted and compressed MiB=0': ['Wal.recover', 'Wal.replay', 'Wal.iterator'],
        'cores MiB=0': ['PerCoreRecovery.open', 'PerCoreRecovery.entries', 'PerCoreWalReader'],
      }),
    ),
  ],
  ['verify', verify, { 'verify MiB=2': ['walstack verify', ...scan] }],
  [
    'jetstream',
    jetstream,
    serverMissing === undefined
      ? { ship: ['walstack/jetstream', 'nats-client'], commit: ['walstack/replicated', 'walstack'] }
      : {},
  ],
])('%s measures every subject of every case, and leaves nothing behind', async (name, casesOf, expected) => {
  using scratch = new Scratch(folder());
  const settings: Settings = { ...AMOUNTS, subjects, nativeLoop: loop('native-loop'), fio: loop('fio'), scratch };
  const found: Record<string, string[]> = {};
  for (const one of casesOf(settings)) {
    const rows = await measuredOnce(one);
    expect(one.bench).toBe(name);
    for (const row of rows) {
      expect(row.value, `${row.case} of ${row.subject}`).toBeGreaterThanOrEqual(one.unit === 'bytes' ? 0 : 0.001);
      const quantiles = [row.p50Us, row.p99Us, row.p999Us];
      expect(quantiles).toEqual([...quantiles].sort((a, b) => (a ?? 0) - (b ?? 0)));
      expect(row.slow ?? 0).toBeLessThanOrEqual(1);
      const waitsForEach = /^(commits|writes)\/s$/.test(one.unit) || one.name.startsWith('batch=');
      expect(quantiles).toEqual(quantiles.map(() => (waitsForEach ? expect.any(Number) : null)));
    }
    found[one.name] = rows.map(({ subject }) => subject);
  }
  expect(found).toEqual(expected);
  scratch[Symbol.dispose]();
  expect(readdirSync(folder())).toEqual([]);
});

test('writers are one, two, and twice as many each time, up to all cores', () => {
  expect(writerCounts(1)).toEqual([1, 2]);
  expect(writerCounts(2)).toEqual([1, 2]);
  expect(writerCounts(4)).toEqual([1, 2, 4]);
  expect(writerCounts(12)).toEqual([1, 2, 4, 8, 12]);
});

test('the native loop writes what so many committers would, and the best depth counts', async () => {
  using scratch = new Scratch(folder());
  runs.length = 0;
  const settings: Settings = { ...AMOUNTS, subjects: [], nativeLoop: loop('native-loop'), fio: undefined, scratch };
  const rows: Row[] = [];
  for (const one of durable(settings)) {
    const contestants = one.contestants.filter(({ subject }) => subject === 'native-loop');
    rows.push(...(await measureCase({ ...one, contestants }, 1)));
  }
  expect(rows.map((row) => [row.case, row.value])).toEqual([
    ['committers=1', 10_000],
    ['committers=8', 100_000],
    ['committers=64', 800_000],
    ['committers=512', 6_400_000],
    ['sync', 10_000],
  ]);
  // One round that does not count, and one that does.
  const last = runs.filter((_, index) => index >= 12 && index < 18).map(({ depth, bytes }) => [depth, bytes]);
  expect(last).toEqual([
    [1, 53_248],
    [4, 16_384],
    [16, 4096],
    [1, 53_248],
    [4, 16_384],
    [16, 4096],
  ]);
});
