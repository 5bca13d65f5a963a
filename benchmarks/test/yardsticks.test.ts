import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Row } from '../src/rows.js';
import { table } from '../src/table.js';
import { ratioTo, yardstickOf } from '../src/yardstick.js';
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
  rounds: 3,
  spread: 0.1,
});

test('others are measured by fs, and by what else there is where it is not', () => {
  expect(yardstickOf([row('native-loop', 3), row('fs', 2), row('lmdb', 1)])?.subject).toBe('fs');
  expect(yardstickOf([row('walstack/sync-fs', 3), row('native-loop', 2)])?.subject).toBe('native-loop');
  expect(yardstickOf([row('walstack/sync-fs', 3)])).toBeUndefined();
  expect(ratioTo(row('fs', 200), row('lmdb', 430))).toBe('2.15');
  expect(ratioTo(row('fs', 0), row('lmdb', 430))).toBeUndefined();
});

test('the table has a line for each subject, and its ratio', () => {
  const lines = table([row('lmdb', 12_345), row('fs', 10_000)]).split('\n');
  expect(lines.map((line) => line.trim().split(/\s{2,}/))).toEqual([
    ['durable committers=8', 'commits/s', 'p50 µs', 'p99 µs', 'spread', '× fs'],
    ['lmdb', '12,345', '–', '–', '10 %', '1.23'],
    ['fs', '10,000', '–', '–', '10 %', '1.00'],
  ]);
  expect(table([])).toBe('');
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
      'echo \'{"writes": 300, "elapsedMs": 600, "p50Us": 7.5, "p99Us": 30}\'\n',
    { mode: 0o755 },
  );
  const loop = nativeLoop(source, program);
  if (typeof loop === 'string') throw new Error(loop);
  const run = { path: 'file', depth: 4, bytes: 8192, durationMs: 500 };
  expect(loop.run(run)).toEqual({ writesPerSecond: 500, p50Us: 7.5, p99Us: 30 });
  expect(() => loop.run({ ...run, depth: 5 })).toThrow('native-loop failed: file 5 8192 500');
});
