import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SegmentedWal } from '@walstack/segmented';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

const page = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code as string);
const cwd = fileURLToPath(new URL('..', import.meta.url));

/** Runs an example of the page in a directory. */
function run(directory: string, example: number, before = '', after = ''): string {
  const code = `
    import { SegmentedWal } from '@walstack/segmented';
    process.chdir(${JSON.stringify(directory)});
    ${before}
    ${examples[example]}
    ${after}`;
  return execFileSync(process.execPath, ['--input-type=module'], { cwd, input: code, encoding: 'utf8' });
}

// The seventh one, with a `Wal`, is run in packages/wal/test/import-page.test.ts.
test('docs/operations.md has as many examples as are run here', () => {
  expect(examples).toHaveLength(10);
});

test('truncating behind a snapshot', () => {
  const before = `
    const wal = SegmentedWal.openSync({ directory: 'log', segmentBytes: 8192 });
    for (let lsn = 1; lsn <= 100; lsn++) wal.append(new Uint8Array(500));
    wal.syncSync();
    const snapshot = { lastLsn: 60 };`;
  const after = 'console.log(wal.firstLsn > 40, wal.firstLsn <= 61); await wal.close();';
  expect(run(temporaryDirectory(), 0, before, after)).toBe('true true\n');
});

test('a backup', () => {
  const before = `
    const wal = SegmentedWal.openSync({ directory: 'events' });
    for (let lsn = 1; lsn <= 100; lsn++) wal.append(new Uint8Array(500));`;
  const after = `await wal.close();
    const backup = SegmentedWal.openSync({ directory: 'backups/events' });
    console.log(lastLsn, backup.lastLsn); await backup.close();`;
  expect(run(temporaryDirectory(), 7, before, after)).toBe('100 100\n');
});

// What these calls do on a disk that is full: harness/test/full-disk.test.ts.
test('making room on a full disk', () => {
  const before = `
    const wal = SegmentedWal.openSync({ directory: 'log', segmentBytes: 8192 });
    for (let lsn = 1; lsn <= 100; lsn++) wal.append(new Uint8Array(500));
    wal.syncSync();
    const snapshot = { lastLsn: 60 };`;
  const after = 'console.log(wal.checkpointLsn, wal.firstLsn > 40, wal.firstLsn <= 61); await wal.close();';
  expect(run(temporaryDirectory(), 9, before, after)).toBe('60 true true\n');
});

test('a salvage around damage', () => {
  const directory = temporaryDirectory();
  const wal = SegmentedWal.openSync({ directory: join(directory, 'events'), segmentBytes: 8192 });
  for (let lsn = 1; lsn <= 100; lsn++) wal.append(new Uint8Array(500));
  wal.closeSync();
  const { path, firstLsn } = wal.listSegments()[2] as { path: string; firstLsn: number };
  const bytes = readFileSync(path);
  bytes[4200] = (bytes[4200] as number) ^ 1;
  writeFileSync(path, bytes);
  expect(run(directory, 5)).toMatch(
    new RegExp(
      `^kept 99 records; damaged segments are in .*quarantine.*\nlost ${firstLsn} to ${firstLsn} unreadable\n$`,
    ),
  );
});

test('retention, a check beside a writer, salvage, and a lock that is waited for', () => {
  const directory = temporaryDirectory();
  expect(run(directory, 1)).toBe('all is held: 1\nat most 4 MiB: true\n');

  const wal = SegmentedWal.openSync({ directory: join(directory, 'events') });
  const records = wal.nextLsn - wal.firstLsn;
  expect(run(directory, 2)).toBe(`clean ${records} records\n`);
  const [, second, ...others] = wal.listSegments().map(({ path, firstLsn }) => ({ path, firstLsn }));
  const { lastLsn } = wal;
  wal.closeSync();
  expect(run(directory, 3, '', 'await wal.close();')).toMatch(/search 100\n$/);

  const { path, firstLsn } = second as { path: string; firstLsn: number };
  const bytes = readFileSync(path);
  bytes.fill(0xff, 4200, 4300);
  writeFileSync(path, bytes);
  expect(() => SegmentedWal.openSync({ directory: join(directory, 'events') })).toThrow(
    expect.objectContaining({ code: 'WAL_CORRUPT', lsn: firstLsn }),
  );
  const aside = [path, ...others.map((each) => each.path)].map((each) => `kept aside ${each.split('/').at(-1)}\n`);
  expect(run(directory, 4)).toBe(`kept up to ${firstLsn - 1}\nlost ${firstLsn} to ${lastLsn}\n${aside.join('')}`);
  expect(run(directory, 8, '', 'console.log(wal.nextLsn, wal.recovery.reason); await wal.close();')).toBe(
    `${firstLsn} clean\n`,
  );
});
