import { expect, test } from 'vitest';
import { CoreKnowledge, type CoreNote, type FoundCores } from '../src/model/core-knowledge.js';

const entry = { epoch: 1, content: 'an entry' };
const NOTES: readonly CoreNote[] = [
  { kind: 'appended', coreId: 0, entry },
  { kind: 'committed', coreId: 0, count: 1 },
];
const found = (committed: number): FoundCores => ({
  checkpointId: 0,
  completeEpoch: 0,
  left: false,
  cores: new Map([[0, [entry]]]),
  committed: new Map([[0, committed]]),
});

test('a commit that was acknowledged is there, with nothing behind it', () => {
  const acknowledged: CoreNote = { kind: 'durable', coreId: 0, count: 1, committed: 1 };
  const knowledge = new CoreKnowledge([...NOTES, acknowledged]);
  expect(() => knowledge.check(found(0))).toThrow('committed 0 of 0, 1');
  expect(knowledge.check(found(1)).get(0)).toEqual([entry]);
});

test('a commit that was not may be gone', () => {
  const knowledge = new CoreKnowledge([...NOTES, { kind: 'durable', coreId: 0, count: 1 }]);
  expect(knowledge.check(found(0)).get(0)).toEqual([entry]);
});

test('a commit in an epoch that is complete is there, whatever is left out', () => {
  const complete: CoreNote = { kind: 'epoch', epoch: 1, committed: new Map([[0, 1]]) };
  const knowledge = new CoreKnowledge([...NOTES, complete]);
  const left = { completeEpoch: 1, left: true };
  expect(() => knowledge.check({ ...found(0), ...left })).toThrow('committed 0 of 0, 1');
  expect(knowledge.check({ ...found(1), ...left }).get(0)).toEqual([entry]);
});
