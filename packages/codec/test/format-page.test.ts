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

it('the encrypted record in docs/format.md is the vector of that name', () => {
  const page = readFileSync(new URL('../../../docs/format.md', import.meta.url), 'utf8');
  const [, table] = /## An encrypted record in hexadecimal\n(.*?)\n\nIn the frame/s.exec(page) ?? [];
  const shown = new Map(
    [...(table as string).matchAll(/^\| ([a-z0-9, ]+) \| `([0-9a-f]+)` \|$/gm)].map(([, what, hex]) => [what, hex]),
  );
  const vector = readVectors<Record<string, string> & { readonly name: string }>('encryption.json').find(
    ({ name }) => name === 'with meta',
  ) as Record<string, string>;
  expect(Object.fromEntries(shown)).toEqual({
    'master key': vector['masterKey'],
    'header, bytes 0 to 127': vector['header'],
    'key of the segment': vector['segmentKey'],
    nonce: vector['nonce'],
    'additional data': vector['additionalData'],
    'meta and payload': `${vector['meta']}${vector['stored']}`,
    frame: vector['frame'],
  });
});
