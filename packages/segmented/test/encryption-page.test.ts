import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KeyRing } from '@walstack/segmented';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

const page = readFileSync(new URL('../../../docs/encryption.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code as string);
const root = fileURLToPath(new URL('..', import.meta.url));

/** What the page has said before its example begins. */
const PRELUDE = `
import { randomBytes } from 'node:crypto';
import * as segmented from '@walstack/segmented';
`;
const OPENED = `
const { KeyRing, SegmentedWal } = segmented;
const newKey = randomBytes(32);
const keyRing = KeyRing.of({ id: 2, key: randomBytes(32) });
`;
const WITH_LOG = `${OPENED} const wal = await SegmentedWal.open({ directory: 'log', keyRing }); wal.append('x');`;
const SHOW = `
wal.append('y'.repeat(5000));
await wal.sync();
console.log(wal.listSegments().map(({ keyId }) => keyId).join(' '), wal.totalSizeBytes() < 9000);
await wal.close();
`;

/** Each example, what stands before it, and what it comes to. */
const RUNS = [
  ['turning it on', PRELUDE, '2 false'],
  ['rotation', PRELUDE + WITH_LOG, '2 3 false'],
  ['compression', PRELUDE + OPENED, '0 true'],
] as const;

test('docs/encryption.md has as many examples as are run here', () => {
  expect(examples).toHaveLength(RUNS.length);
});

test.each(RUNS.map((run, index) => [...run, index] as const))(
  'its example of %s runs',
  (_what, before, printed, index) => {
    const folder = temporaryDirectory();
    const keys = JSON.stringify({ current: 2, keys: { 1: '11'.repeat(32), 2: '22'.repeat(32) } });
    writeFileSync(join(folder, 'keys.json'), keys, { mode: 0o600 });
    // The program is run where the packages are found, and works in its folder.
    const program = `${before} process.chdir(${JSON.stringify(folder)});\n${examples[index]}${SHOW}`;
    const ordered = hoisted(program);
    const options = { cwd: root, input: ordered, encoding: 'utf8' } as const;
    expect(execFileSync(process.execPath, ['--input-type=module'], options).trim()).toBe(printed);
  },
);

test('the key file that docs/encryption.md shows is one', async () => {
  const [, shown] = /```json\n(.*?)```/s.exec(page) ?? [];
  const file = join(temporaryDirectory(), 'keys.json');
  const text = (shown as string).replaceAll('<64 hexadecimal digits>', 'ab'.repeat(32));
  writeFileSync(file, text, { mode: 0o600 });
  const ring = await KeyRing.fromFile(file);
  expect([ring.currentId, ring.ids]).toEqual([2, [1, 2]]);
});

/** The folder is entered before a log is opened in it: imports come first anyway. */
function hoisted(program: string): string {
  const [enter] = /process\.chdir\(.*?\);/.exec(program) ?? [];
  const rest = program.replace(enter as string, '');
  const imports = rest.match(/^import .*$/gm) ?? [];
  return `${imports.join('\n')}\n${enter}\n${rest.replaceAll(/^import .*$/gm, '')}`;
}
