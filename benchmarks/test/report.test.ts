import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { mergedCases } from '../src/report/cases.js';
import { chart } from '../src/report/chart.js';
import { shortNumber } from '../src/report/numbers.js';
import { benchTable } from '../src/report/page.js';
import { withResults } from '../src/report/readme.js';
import type { Row } from '../src/rows/rows.js';
import { temporaryFolder } from './support.js';

const folder = temporaryFolder();

const row = (name: string, subject: string, value: number, more: Partial<Row> = {}): Row => ({
  bench: 'durable',
  case: name,
  subject,
  value,
  unit: 'commits/s',
  p50Us: null,
  p99Us: null,
  p999Us: null,
  slow: null,
  rounds: 3,
  spread: 0.1,
  ...more,
});

const FIRST = [
  row('committers=1', 'walstack/sync-fs', 500),
  row('committers=1', 'fs', 400),
  row('committers=8', 'walstack/sync-fs', 2000, { p50Us: 12.4, p99Us: 99.6, p999Us: 120, slow: 0.255 }),
  row('committers=8', 'a & <b>', 4000),
];
const SECOND = [row('committers=8', 'walstack/sync-fs', 3000), row('committers=8', 'fs', 1000)];

test('a case comes whole from the last run that has it', () => {
  const cases = mergedCases([FIRST, SECOND]);
  expect(cases.map(({ name, rows }) => [name, ...rows.map(({ value }) => value)])).toEqual([
    ['committers=1', 500, 400],
    ['committers=8', 3000, 1000],
  ]);
});

test.each([
  [0, '0'],
  [0.1234, '0.123'],
  [999.4, '999'],
  [999.6, '1 K'],
  [12_345, '12.3 K'],
  [999_999, '1 M'],
  [48_765_432, '48.8 M'],
  [8_827_474_089, '8.83 G'],
])('%d is short as %s', (value, short) => {
  expect(shortNumber(value)).toBe(short);
});

test('the table has a line for each case and a column for each subject', () => {
  expect(benchTable(mergedCases([FIRST]))).toBe(
    [
      '|  | walstack/sync-fs | fs | a & <b> |',
      '| --- | --: | --: | --: |',
      '| **committers=1**<br>commits/s | 500<br>1.25 × fs<br>spread 10 % | 400<br>spread 10 % | – |',
      '| **committers=8**<br>commits/s | 2 K<br>12 / 100 / 120 µs<br>slow 26 %<br>spread 10 % | – | 4 K<br>spread 10 % |',
    ].join('\n'),
  );
});

test('rows of an earlier version have no p99.9 and no share of slow ones; what is left of them is shown', () => {
  const { p999Us: _p999Us, slow: _slow, ...earlier } = row('committers=1', 'fs', 400, { p50Us: 1, p99Us: 2 });
  const page = benchTable(mergedCases([[earlier as Row]]));
  expect(page.split('\n').at(-1)).toBe('| **committers=1**<br>commits/s | 400<br>1 / 2 µs<br>spread 10 % |');
});

test('the bare ring is a second measure', () => {
  const rows = [row('committers=1', 'walstack/io-uring', 600), row('committers=1', 'fs', 400)];
  const page = benchTable(mergedCases([[...rows, row('committers=1', 'ring-loop', 800)]]));
  expect(page).toContain('| 600<br>1.50 × fs<br>0.75 × ring-loop<br>spread 10 % |');
});

test('a ratio is better when it is high, and a time is not', () => {
  const svg = (unit: string) => chart('cold', mergedCases([[row('logs=20', 'walstack/sync-fs', 1, { unit })]]));
  expect(svg('× first')).not.toContain('less is better');
  expect(svg('ms')).toContain('ms, less is better');
});

test('the chart has a bar for each row, as long as its value, and its words are escaped', () => {
  const svg = chart('durable', mergedCases([FIRST]));
  const bars = [...svg.matchAll(/<rect class="(\w+)"[^>]* width="([\d.]+)" height="14"/g)];
  const widths = bars.map(([, kind, width]) => [kind, Number(width)]);
  const [, , , longest] = widths as [string, number][];
  expect(widths).toEqual([
    ['walstack', longest?.[1]],
    ['yardstick', ((longest?.[1] ?? 0) * 400) / 500],
    ['walstack', (longest?.[1] ?? 0) / 2],
    ['peer', longest?.[1]],
  ]);
  expect(svg).toContain('>a &amp; &lt;b&gt;<');
  expect(svg).not.toContain('<b>');
  expect(svg).toContain('prefers-color-scheme: dark');
});

test('results stand between the marks of the page, whatever stood there', () => {
  const page = 'before\n<!-- results -->\n\nold\n\n<!-- end of results -->\nafter\n';
  const once = withResults(page, 'new');
  expect(once).toBe('before\n<!-- results -->\n\nnew\n\n<!-- end of results -->\nafter\n');
  expect(withResults(once, 'new')).toBe(once);
  expect(() => withResults('no marks', 'new')).toThrow('<!-- results -->');
});

const report = (...args: readonly string[]) =>
  spawnSync(process.execPath, [fileURLToPath(new URL('../dist/report.js', import.meta.url)), ...args], {
    cwd: folder(),
    env: { ...process.env, INIT_CWD: folder() },
    encoding: 'utf8',
  });

test('bench:report writes a page, a chart for each bench, and shows them above', () => {
  const about = { date: '2030-01-31', machine: 'a machine', quick: false, subjects: { fs: 'how it writes' } };
  const rows = [...FIRST, row('seal', 'walstack/native', 5, { bench: 'native', unit: 'records/s' })];
  writeFileSync(join(folder(), 'one.json'), JSON.stringify(rows));
  writeFileSync(join(folder(), 'one.about.json'), JSON.stringify(about));
  writeFileSync(join(folder(), 'README.md'), '<!-- results -->\n<!-- end of results -->\n');
  mkdirSync(join(folder(), 'results'));
  const { status, stderr } = report('one.json', '--into', 'results');
  expect([status, stderr]).toEqual([0, '']);
  expect(readdirSync(join(folder(), 'results')).sort()).toEqual(['README.md', 'durable.svg', 'native.svg']);
  const page = readFileSync(join(folder(), 'results', 'README.md'), 'utf8');
  expect(page).toContain('Measured on 2030-01-31: a machine.');
  expect(page).toContain('- **fs**: how it writes');
  expect(page).toContain('![durable](durable.svg)');
  const above = readFileSync(join(folder(), 'README.md'), 'utf8');
  expect(above).toContain('![native](results/native.svg)');
});

test('bench:report without a file says how it is called', () => {
  const { status, stderr } = report();
  expect(status).toBe(2);
  expect(stderr).toContain('pnpm bench:report FILE');
});
