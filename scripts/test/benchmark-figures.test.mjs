import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../lib/workspace.mjs';

/** @param {string} file @returns {string[][]} the cells of each row of its tables */
const rowsOf = (file) =>
  readFileSync(join(repositoryRoot, file), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) =>
      line
        .slice(1, -1)
        .replaceAll(/[`*]/g, '')
        .split('|')
        .map((cell) => cell.trim()),
    );

/** @param {string} text such as `6.33 K`, `1,305,000` or `5.62 M` */
const numberIn = (text) => {
  const [, digits = '', unit = ''] = /^([\d.,]+)(?: ([KMG]))?/.exec(text) ?? [];
  return Number(digits.replaceAll(',', '')) * ({ K: 1e3, M: 1e6, G: 1e9 }[unit] ?? 1);
};

/** The figures of the results, by case and subject. */
const measured = new Map();
let subjects = /** @type {string[]} */ ([]);
for (const cells of rowsOf('benchmarks/results/README.md')) {
  if (cells[0] === '') subjects = cells;
  const name = /^(committers=\d+|bytes=100|views|cursor)<br>/.exec(cells[0] ?? '')?.[1];
  if (name !== undefined)
    for (const [index, cell] of cells.entries()) measured.set(`${name} ${subjects[index]}`, numberIn(cell));
}

/** The subject of a column. @param {string} heading */
const subjectOf = (heading) => {
  const plain = heading.replace(/^walstack, io_uring$/, 'io-uring').replace(/^node:fs alone$/, 'fs');
  return /^(?:io-uring|thread-pool|sync-fs)$/.test(plain) ? `walstack/${plain}` : plain;
};

/** The case of a row. @param {string} label */
const caseOf = (label) => {
  if (label.startsWith('appends per second')) return 'bytes=100';
  if (label.startsWith('records read per second')) return 'views';
  const [, callers] = /^(?:durable commits per second, )?(one|\d+)(?: callers?(?: at a time)?)?$/.exec(label) ?? [];
  return callers === undefined ? undefined : `committers=${callers === 'one' ? 1 : callers}`;
};

/** The figures that a page shows, with what was measured. @param {string} page */
const figuresOf = (page) => {
  const figures = [];
  let headings = /** @type {string[]} */ ([]);
  for (const cells of rowsOf(page)) {
    if (cells[0] === '' || cells[0] === 'callers at a time') headings = cells;
    const row = caseOf(cells[0] ?? '');
    if (row === undefined) continue;
    for (const [index, cell] of cells.entries()) {
      const key = `${row} ${subjectOf(headings[index] ?? '')}`;
      if (measured.has(key) && /^[\d.,]+(?: [KMG])?$/.test(cell)) figures.push({ key, shown: numberIn(cell) });
    }
  }
  return figures;
};

test.each(['README.md', 'docs/comparison.md', 'docs/which-backend.md'])(
  'the figures of %s are those of the results',
  (page) => {
    const figures = figuresOf(page);
    expect(figures.length).toBeGreaterThanOrEqual(12);
    for (const { key, shown } of figures) {
      // The README shows what a cursor reads.
      const isCursor = page === 'README.md' && key === 'views walstack/io-uring';
      const result = measured.get(isCursor ? 'views walstack/mmap-reader' : key);
      // Both are rounded to three digits.
      expect(Math.abs(shown - result) / result, `${key}: ${shown}, measured ${result}`).toBeLessThan(0.005);
    }
  },
);
