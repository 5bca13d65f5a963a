import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { available } from '@walstack/native';
import { ringSupport } from '@walstack/storage-io';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { append } from '../src/append.js';
import { BytesLoop } from '../src/bytes-loop.js';
import { durable } from '../src/durable.js';
import { durableWrites } from '../src/durable-writes.js';
import { native } from '../src/native.js';
import { replay } from '../src/replay.js';
import { measureCase } from '../src/rounds.js';
import { Scratch } from '../src/scratch.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walstack-benchmarks-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

/** What is left out where there is no ring, or no compiler. */
const WRITERS = [
  ...(ringSupport().available ? ['walstack/io-uring'] : []),
  ...(spawnSync('cc', ['--version']).status === 0 ? ['native-loop'] : []),
];

/** What takes part depends on what is there: the addon's binary, a compiler for the yardstick. */
const bytesSubjects = (yardstick: string): string[] => [
  ...(available ? ['walstack/native'] : []),
  'walstack/javascript',
  ...(BytesLoop.isPossible() ? [yardstick] : []),
];

const CONCURRENT = ['walstack/thread-pool', 'walstack/sync-fs', 'fs'];

test.each([
  ['append', append, { 'bytes=100': CONCURRENT }],
  [
    'durable',
    durable,
    {
      'committers=1': CONCURRENT,
      'committers=8': CONCURRENT,
      'committers=64': CONCURRENT,
      'committers=512': CONCURRENT,
      sync: ['walstack/sync-fs', 'fs'],
    },
  ],
  ['replay', replay, { views: CONCURRENT }],
  [
    'native',
    durableWrites,
    { 'durable-write depth=1': WRITERS, 'durable-write depth=4': WRITERS, 'durable-write depth=16': WRITERS },
  ],
  [
    'native',
    native,
    {
      crc32c: bytesSubjects('native-loop'),
      'crc32c bytes=100': bytesSubjects('native-loop'),
      seal: bytesSubjects('native-loop'),
      'append+seal': bytesSubjects('native-loop'),
      scan: bytesSubjects('native-scan'),
    },
  ],
])('%s measures every subject of every case, and leaves nothing behind', async (name, casesOf, expected) => {
  using scratch = new Scratch(folder);
  const cases = casesOf({ rounds: 1, durationMs: 5, records: 20_000, scratch });
  const found: Record<string, string[]> = {};
  for (const one of cases) {
    const rows = await measureCase(one, 1);
    expect(one.bench).toBe(name);
    expect(rows.every(({ value }) => value > 0)).toBe(true);
    expect(rows.every(({ p50Us, p99Us }) => name !== 'durable' || (p50Us ?? 0) <= (p99Us ?? -1))).toBe(true);
    found[one.name] = rows.map(({ subject }) => subject);
  }
  expect(found).toEqual(expected);
  scratch[Symbol.dispose]();
  expect(readdirSync(folder)).toEqual([]);
});
