import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Row } from '../src/rows/rows.js';
import { tables } from '../src/rows/table.js';
import { ratioTo, yardsticksOf } from '../src/rows/yardstick.js';
import { nativeLoop } from '../src/yardsticks/native-loop.js';
import { temporaryFolder } from './support.js';

const folder = temporaryFolder();

const row = (subject: string, value: number): Row => ({
  bench: 'durable',
  case: 'committers=8',
  subject,
  value,
  unit: 'commits/s',
  p50Us: null,
  p99Us: null,
  p999Us: null,
  slow: null,
  rounds: 3,
  spread: 0.1,
});

test('others are measured by fs, and by what else there is where it is not', () => {
  const yardsticks = (...names: readonly string[]) =>
    yardsticksOf(names.map((name) => row(name, 1))).map(({ subject }) => subject);
  expect(yardsticks('native-loop', 'fs', 'lmdb')).toEqual(['fs']);
  expect(yardsticks('walstack/sync-fs', 'native-loop')).toEqual(['native-loop']);
  expect(yardsticks('walstack/sync-fs', 'ring-loop', 'native-loop', 'fs')).toEqual(['fs', 'ring-loop']);
  expect(yardsticks('walstack/sync-fs')).toEqual([]);
  expect(ratioTo(row('fs', 200), row('lmdb', 430))).toBe('2.15');
  expect(ratioTo(row('fs', 0), row('lmdb', 430))).toBeUndefined();
});

test('the table has a line for each subject, and its ratios', () => {
  const latency = { p50Us: 80, p99Us: 900, p999Us: 1500, slow: 0.128 };
  const rows = [{ ...row('lmdb', 12_345), ...latency }, row('fs', 10_000), row('ring-loop', 20_000)];
  const lines = tables(rows).split('\n');
  expect(lines.map((line) => line.trim().split(/\s{2,}/))).toEqual([
    ['durable committers=8', 'commits/s', 'p50 µs', 'p99 µs', 'p99.9 µs', 'slow', 'spread', '× fs', '× ring-loop'],
    ['lmdb', '12,345', '80', '900', '1,500', '13 %', '10 %', '1.23', '0.62'],
    ['fs', '10,000', '–', '–', '–', '–', '10 %', '1.00', '0.50'],
    ['ring-loop', '20,000', '–', '–', '–', '–', '10 %', '2.00', '1.00'],
  ]);
  expect(tables([])).toBe('');
});

test('further figures have tables of their own', () => {
  const segments = { ...row('fs', 3), case: 'openings=8 segments', unit: 'segments' };
  const [first, second] = tables([{ ...row('fs', 1), case: 'openings=8' }, segments]).split('\n\n');
  expect(first).toContain('durable openings=8  ');
  expect(second).toContain('durable openings=8 segments  ');
});

test('a native loop that is not there, or does not compile, is a sentence', () => {
  const source = join(folder(), 'loop.c');
  const program = join(folder(), 'build', 'loop');
  expect(nativeLoop(source, program)).toContain(`there is no ${source}`);
  writeFileSync(source, 'this is not C');
  expect(nativeLoop(source, program)).toContain('native-loop is left out: it was not compiled');
});

test.runIf(process.platform !== 'win32')('a native loop is called with what to do, and says what it did', () => {
  const program = join(folder(), 'loop');
  const source = join(folder(), 'loop.c');
  writeFileSync(source, '');
  writeFileSync(
    program,
    '#!/bin/sh\n[ "$*" = "file 4 8192 500" ] || { echo "$*" >&2; exit 1; }\n' +
      'echo \'{"writes": 300, "elapsedMs": 600, "p50Us": 7.5, "p99Us": 30, "p999Us": 40, "slow": 0.25}\'\n',
    { mode: 0o755 },
  );
  const loop = nativeLoop(source, program);
  if (typeof loop === 'string') throw new Error(loop);
  const run = { path: 'file', depth: 4, bytes: 8192, durationMs: 500 };
  expect(loop.run(run)).toEqual({ writesPerSecond: 500, p50Us: 7.5, p99Us: 30, p999Us: 40, slow: 0.25 });
  expect(() => loop.run({ ...run, depth: 5 })).toThrow('native-loop failed: file 5 8192 500');
});
