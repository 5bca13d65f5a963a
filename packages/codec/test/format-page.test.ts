import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { fromHex, fromRuns, type Runs, readVectors, toHex } from './support.js';

it('the example in docs/format.md is the vector of that name', () => {
  const page = readFileSync(new URL('../../../docs/format.md', import.meta.url), 'utf8');
  const [, dump] = /```text\n(0000 {2}[^`]*)```/.exec(page) ?? [];
  const { bytes } = readVectors<{ readonly name: string; readonly bytes: Runs }>('segments.json').find(
    ({ name }) => name === 'the example of docs/format.md',
  ) as { readonly bytes: Runs };
  const expected = fromRuns(bytes);
  const shown = new Uint8Array(expected.length);
  for (const line of (dump as string).trimEnd().split('\n')) {
    const [at, ...pairs] = line.split(/ +/);
    expect(pairs).toHaveLength(16);
    shown.set(fromHex(pairs.join('')), Number.parseInt(at as string, 16));
  }
  expect(toHex(shown)).toBe(toHex(expected));
  expect(page).toContain(`It has ${expected.length} bytes`);
});
