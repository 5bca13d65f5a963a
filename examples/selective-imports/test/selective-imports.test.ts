import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

interface Row {
  readonly minified: number;
  readonly gzipped: number;
  readonly packages: string;
}

/** The rows of the table by their programs. */
function rowsOf(output: string): Map<string, Row> {
  const found = output.matchAll(/^([\w-]+) +([\d.]+) +([\d.]+) {2}([\w, -]+)$/gm);
  return new Map(
    [...found].map(([, name = '', minified, gzipped, packages = '']) => [
      name,
      { minified: Number(minified), gzipped: Number(gzipped), packages },
    ]),
  );
}

const [, shown = ''] = /```text\n(.*?)```/s.exec(readme) ?? [];
const printed = execFileSync(process.execPath, [program], { encoding: 'utf8' });
const rows = rowsOf(printed);

test('every program runs out of its bundle, and does what the README shows', () => {
  const lines = (output: string): string[] => output.split('\n\n')[0]?.split('\n') ?? [];
  expect(lines(printed)).toEqual(lines(shown));
  expect(lines(printed)).toHaveLength(5);
});

test('a bundle has its layer and those below it, and no other', () => {
  const packages = [...rows].map(([name, row]) => [name, row.packages]);
  expect(packages).toEqual([
    ['codec-alone', 'codec, native'],
    ['storage-io-alone', 'codec, native, storage-io'],
    ['reader-alone', 'codec, mmap-reader, native, storage-io'],
    ['segmented-alone', 'codec, mmap-reader, native, segmented, storage-io'],
    ['wal', 'codec, mmap-reader, native, segmented, storage-io, wal'],
  ]);
});

test('each layer adds to the one before it, and weighs about what the README says', () => {
  const sizes = [...rows.values()].map(({ minified }) => minified);
  expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
  for (const [name, { minified, gzipped }] of rowsOf(shown)) {
    const row = rows.get(name);
    expect.soft(Math.abs((row?.minified ?? 0) / minified - 1), name).toBeLessThan(0.25);
    expect.soft(Math.abs((row?.gzipped ?? 0) / gzipped - 1), name).toBeLessThan(0.25);
  }
  expect(rowsOf(shown).size).toBe(5);
});
