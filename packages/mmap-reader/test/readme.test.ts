import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { makeSegment, writeSegments } from './support/segments.js';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const cwd = fileURLToPath(new URL('..', import.meta.url));
const [, code = '', output = ''] = /```js\n(.*?)```\s+It prints.*?```text\n(.*?)```/s.exec(readme) ?? [];

/** The log that the README speaks of. */
function ordersLog(): string {
  const first = makeSegment({
    records: [
      { payload: 'order 17', type: 1 },
      { payload: 'order 18', type: 2 },
    ],
  });
  const second = makeSegment({
    number: 2,
    firstLsn: 3,
    predecessor: { number: 1, id: first.header.segmentId },
    records: [
      { payload: '17 was seen!', type: 3 },
      { payload: 'order 19', type: 1 },
    ],
  });
  const directory = temporaryDirectory();
  writeSegments(directory, [first, second]);
  return directory;
}

describe('the README', () => {
  it('shows what its example prints', () => {
    expect(code).not.toBe('');
    const args = ['--input-type=module', '-', ordersLog()];
    expect(execFileSync(process.execPath, args, { cwd, input: code, encoding: 'utf8' })).toBe(output);
  });

  it('names every export', async () => {
    const { default: _, ...names } = (await import('@walstack/mmap-reader')) as Record<string, unknown>;
    expect(Object.keys(names).length).toBeGreaterThan(3);
    for (const name of Object.keys(names)) expect(readme).toContain(name);
  });
});
