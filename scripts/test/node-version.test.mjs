import { expect, test } from 'vitest';
import { isInRange } from '../lib/node-version.mjs';

const range = '>=20.19 <21 || >=22.12';

test.each(['20.19.0', '20.20.2', '22.12.0', '23.0.0', '24.1.0'])('%s will do', (version) => {
  expect(isInRange(version, range)).toBe(true);
});

test.each(['18.20.8', '20.18.3', '21.7.3', '22.11.0'])('%s will not', (version) => {
  expect(isInRange(version, range)).toBe(false);
});

test('a range in another form is refused, not guessed at', () => {
  expect(() => isInRange('20.19.0', '^20.19')).toThrow('engines.node');
});
