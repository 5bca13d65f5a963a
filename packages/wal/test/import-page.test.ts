import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

const page = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
const example = [...page.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code as string)[6] as string;
const cwd = fileURLToPath(new URL('..', import.meta.url));

test('the example of docs/operations.md imports what a salvage has taken out', async () => {
  expect(example).toContain('importFrom');
  const directory = temporaryDirectory();
  const wal = await Wal.open(join(directory, 'events'), { segmentBytes: 8192, io: 'sync-fs' });
  while (wal.lastLsn < 100) await wal.commit(new Uint8Array(500));
  await wal.shutdown();
  const segments = wal.listSegments();
  const { path, firstLsn } = segments[2] as { path: string; firstLsn: number };
  const bytes = readFileSync(path);
  bytes[bytes.length - 1000] = 1;
  writeFileSync(path, bytes);
  const code = `
    import { Wal } from '@walstack/wal';
    process.chdir(${JSON.stringify(directory)});
    ${example}
    console.log(wal.durableLsn === wal.lastLsn);
    await wal.shutdown();`;
  const output = execFileSync(process.execPath, ['--input-type=module'], { cwd, input: code, encoding: 'utf8' });
  const imported = 100 - (segments[3] as { firstLsn: number }).firstLsn + 1;
  expect(output).toMatch(
    new RegExp(`^imported up to 100\\n${imported} records imported, the last one as LSN \\d+\\ntrue\\n$`),
  );
  expect(firstLsn).toBeGreaterThan(1);
});
