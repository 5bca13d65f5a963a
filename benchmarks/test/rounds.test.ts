import { expect, test } from 'vitest';
import { measureCase } from '../src/rounds.js';

test('contestants take turns, another one begins each round, and the first round does not count', async () => {
  const order: string[] = [];
  const contestant = (subject: string) => {
    let value = 0;
    return {
      subject,
      prepare: async () => void order.push(`prepare ${subject}`),
      measure: async () => {
        order.push(subject);
        value += 10;
        return { value };
      },
    };
  };
  const contestants = ['a', 'b', 'c'].map(contestant);
  const rows = await measureCase({ bench: 'bench', name: 'case', unit: 'x/s', contestants }, 3);
  expect(order.join(' ')).toBe('prepare a prepare b prepare c a b c b c a c a b a b c');
  expect(rows.map(({ subject, value, rounds }) => [subject, value, rounds])).toEqual([
    ['a', 30, 3],
    ['b', 30, 3],
    ['c', 30, 3],
  ]);
});

test('what else was measured has rows behind those of the case, figure by figure', async () => {
  const figures = (value: number) => [
    { name: 'segments', unit: 'segments', value },
    { name: 'closed', unit: 'bytes', value: 100 * value },
  ];
  const contestants = [
    { subject: 'a', measure: async () => ({ value: 1, also: figures(2) }) },
    { subject: 'b', measure: async () => ({ value: 3, also: figures(4) }) },
    { subject: 'c', measure: async () => ({ value: 5 }) },
  ];
  const rows = await measureCase({ bench: 'log', name: 'openings=8', unit: 'ms', contestants }, 2);
  expect(rows.map((row) => [row.case, row.unit, row.subject, row.value, row.rounds])).toEqual([
    ['openings=8', 'ms', 'a', 1, 2],
    ['openings=8', 'ms', 'b', 3, 2],
    ['openings=8', 'ms', 'c', 5, 2],
    ['openings=8 segments', 'segments', 'a', 2, 2],
    ['openings=8 segments', 'segments', 'b', 4, 2],
    ['openings=8 closed', 'bytes', 'a', 200, 2],
    ['openings=8 closed', 'bytes', 'b', 400, 2],
  ]);
});

test('a contestant that finds something wrong ends the run', async () => {
  const contestants = [{ subject: 'a', measure: () => Promise.reject(new Error('a record is missing')) }];
  const run = measureCase({ bench: 'bench', name: 'case', unit: 'x/s', contestants }, 1);
  await expect(run).rejects.toThrow('a record is missing');
});
