import { expect, test } from 'vitest';
import { parseOptions } from '../src/command-line.js';

const parse = (...argv: readonly string[]) => parseOptions(argv, ['only', 'jobs'], ['blind', 'thorough']);

test('options have their values, and flags are there or not', () => {
  expect({ ...parse() }).toEqual({});
  expect({ ...parse('--only', 'this one', '--blind', '--jobs=3') }).toEqual({
    only: 'this one',
    blind: true,
    jobs: '3',
  });
  expect({ ...parse('-h', '--thorough') }).toEqual({ help: true, thorough: true });
});

test('a command without flags of its own has --help', () => {
  expect({ ...parseOptions(['--help', '--seed', '5'], ['seed']) }).toEqual({ help: true, seed: '5' });
});

test.each([
  ['an option that there is not', ['--gently'], '--gently'],
  ['an option without its value', ['--only'], '--only'],
  ['a flag with a value', ['--blind=yes'], '--blind'],
  ['a word behind a flag', ['--blind', 'yes'], "'yes'"],
])('%s is refused', (_what, argv, message) => {
  expect(() => parse(...argv)).toThrow(message);
});
