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

test('a contestant that finds something wrong ends the run', async () => {
  const contestants = [{ subject: 'a', measure: () => Promise.reject(new Error('a record is missing')) }];
  const run = measureCase({ bench: 'bench', name: 'case', unit: 'x/s', contestants }, 1);
  await expect(run).rejects.toThrow('a record is missing');
});
