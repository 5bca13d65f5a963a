import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url));

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'walstack-orders-test-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

const run = (...args: string[]) =>
  spawnSync(process.execPath, [program, ...args, '--data', directory], { encoding: 'utf8' });

test('while the process that takes orders and the projections are killed, no command is lost, and projections equal those from scratch', () => {
  const { status, stdout, stderr } = run('demo', '--orders', '120', '--kills', '2');
  expect([status, stderr]).toEqual([0, '']);
  const rows = Object.fromEntries([...stdout.matchAll(/^ {2}(\w+) +(\d+)$/gm)].map(([, name, value]) => [name, value]));
  expect(rows).toMatchObject({ orders: '120', lost: '0', different: '0' });
  expect(stdout.match(/: killed behind/g)).toHaveLength(2);
  const { articles } = JSON.parse(/^sales.*?:\n(.*?\n})\n/ms.exec(run('rebuild').stdout)?.[1] ?? '{}');
  // Five articles, one of them bought by the order of the earlier form, too.
  expect(Object.keys(articles).sort()).toEqual(['bread', 'coffee', 'milk', 'sugar', 'tea']);
});

test('the demo does not remove a directory of another purpose', () => {
  const note = join(directory, 'log', 'note.txt');
  mkdirSync(join(directory, 'log'));
  writeFileSync(note, 'mine');
  expect(run('demo', '--orders', '10')).toMatchObject({ status: 1, stderr: expect.stringContaining('note.txt') });
  expect(readFileSync(note, 'utf8')).toBe('mine');
});

test('the command line', () => {
  expect(run('place', 'a', 'Ada')).toMatchObject({ status: 0, stdout: 'a: placed, 0 items, 0.00 EUR, version 1\n' });
  expect(run('add', 'a', 'tea', '2', '435', '--expect', '1')).toMatchObject({
    status: 0,
    stdout: 'a: placed, 2 items, 8.70 EUR, version 2\n',
  });
  expect(run('pay', 'a', '--expect', '1')).toMatchObject({
    status: 1,
    stderr: 'order a has version 2, not 1: look at it again\n',
  });
  expect(run('pay', 'a')).toMatchObject({ status: 0, stdout: 'a: paid, 2 items, 8.70 EUR, version 3\n' });
  expect(run('cancel', 'a', 'late')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('cannot be cancelled'),
  });
  expect(run('show', 'a')).toMatchObject({ status: 0, stdout: 'a: paid, 2 items, 8.70 EUR, version 3\n' });
  expect(run('rebuild').stdout).toContain('sales up to LSN 3, before up to nothing:');
  expect(run('rebuild').stdout).toContain('board up to LSN 3, before up to 3:');
  expect(run('sell')).toMatchObject({ status: 2, stderr: expect.stringContaining('no command "sell"') });
  expect(run('add', 'a')).toMatchObject({ status: 2 });
  expect(run('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('pnpm shop demo') });
});
