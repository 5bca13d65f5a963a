import { expect, test } from 'vitest';
import { outcomeOf } from '../src/mutants/tests/outcome.js';

/** A file of tests as vitest has it when it ran. */
const moduleOf = (moduleId: string, states: readonly string[]) => {
  const tests = states.map((state, number) => ({ fullName: `${moduleId} ${number}`, result: () => ({ state }) }));
  return { moduleId, errors: () => [], children: { allTests: () => tests } };
};

type Result = Parameters<typeof outcomeOf>[1];

test('a file that failed before says nothing of the next one', () => {
  const result = {
    testModules: [moduleOf('/a.test.ts', ['failed']), moduleOf('/b.test.ts', ['passed', 'skipped'])],
    unhandledErrors: [],
  } as unknown as Result;
  expect(outcomeOf({ moduleId: '/b.test.ts', file: 'b.test.ts' }, result)).toEqual({ ran: 1, failed: [] });
  expect(outcomeOf({ moduleId: '/a.test.ts', file: 'a.test.ts' }, result)).toEqual({
    ran: 1,
    failed: ['/a.test.ts 0'],
  });
});

test('an error outside of any test is a failure of the file', () => {
  const result = { testModules: [], unhandledErrors: [new Error('outside')] } as unknown as Result;
  expect(outcomeOf({ moduleId: '/a.test.ts', file: 'a.test.ts' }, result).failed).toEqual(['a.test.ts: outside']);
});
