import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { readConfigureGlobal } from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { testSeed } from '../lib/test-seed.mjs';

/** @type {string} */
let root;
/** @param {string} path @param {string} text */
const write = (path, text) => writeFileSync(join(root, path), text);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'walstack-seed-'));
  for (const folder of ['harness', 'packages', 'docs']) mkdirSync(join(root, folder));
  write('packages/a.ts', 'a');
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('the seed of the tests', () => {
  test('stays with the sources, whatever else changes', () => {
    const seed = testSeed(root, undefined);
    expect(seed).toBeGreaterThan(0);
    expect(seed).toBeLessThan(2 ** 31);
    write('docs/a.ts', 'a');
    write('packages/README.md', 'a');
    expect(testSeed(root, '')).toBe(seed);
  });

  test('changes with the content and the name of every source', () => {
    const seeds = [testSeed(root, undefined)];
    write('harness/b.test.ts', 'b');
    seeds.push(testSeed(root, undefined));
    write('harness/b.test.ts', 'c');
    seeds.push(testSeed(root, undefined));
    write('packages/b.mjs', '');
    seeds.push(testSeed(root, undefined));
    expect(new Set(seeds).size).toBe(4);
  });

  test('is the one that was asked for, or a new one', () => {
    expect(testSeed(root, '77')).toBe(77);
    const seeds = Array.from({ length: 10 }, () => testSeed(root, 'random'));
    expect(new Set(seeds).size).toBeGreaterThan(1);
  });

  test.each(['0', '-1', '1.5', 'x', '2147483648'])('is refused as %s', (asked) => {
    expect(() => testSeed(root, asked)).toThrow(`and is '${asked}'`);
  });

  test('reaches property tests', () => {
    expect(readConfigureGlobal().seed).toBe(Number(process.env['WALSTACK_TEST_SEED']));
    expect(readConfigureGlobal().seed).toBeGreaterThan(0);
  });
});
