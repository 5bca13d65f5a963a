import { linkSync, lstatSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SegmentedWal } from '@walstack/segmented';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

/** What has the name of the reserve, and is another file. */

const BYTES = 16 * 1024;

const open = (directory: string): Promise<SegmentedWal> =>
  SegmentedWal.open({ directory, io: 'sync-fs', reserveBytes: BYTES, markAfterMs: 0 });

test.each<[string, (target: string, path: string) => void, number, string]>([
  ['a symbolic link', symlinkSync, 300_000, 'content '],
  ['a symbolic link to a file of its size', symlinkSync, BYTES, 'content '],
  ['a symbolic link to an empty file', symlinkSync, 0, ''],
  ['a symbolic link to zeros', symlinkSync, 300_000, '\0'],
  ['a hard link', linkSync, 300_000, 'content '],
  ['a hard link to a file of its size', linkSync, BYTES, 'content '],
  ['a hard link to zeros', linkSync, 300_000, '\0'],
  ['a hard link to zeros of its size', linkSync, BYTES, '\0'],
])('%s is replaced, and its target is not changed', async (_name, link, bytes, filling) => {
  const root = temporaryDirectory();
  const directory = join(root, 'log');
  const reserve = join(directory, '.reserve');
  const target = join(root, 'target');
  await (await open(directory)).close();
  const content = Buffer.alloc(bytes, filling);
  writeFileSync(target, content);
  link(target, reserve);
  const wal = await open(directory);
  wal.append('one');
  await wal.sync();
  wal.append('two');
  await wal.sync();
  expect(wal.stats().reserve).toEqual({ state: 'ready', bytes: BYTES, releases: 0 });
  await wal.close();
  expect(readFileSync(target).equals(content)).toBe(true);
  const { nlink, size } = lstatSync(reserve);
  expect([lstatSync(reserve).isFile(), nlink, size, statSync(target).nlink]).toEqual([true, 1, BYTES, 1]);
});

test('a symbolic link to nothing is replaced, and does not make its target', async () => {
  const root = temporaryDirectory();
  const directory = join(root, 'log');
  await (await open(directory)).close();
  symlinkSync(join(root, 'nothing'), join(directory, '.reserve'));
  const wal = await open(directory);
  wal.append('one');
  await wal.sync();
  expect(wal.stats().reserve).toMatchObject({ state: 'ready', bytes: BYTES });
  await wal.close();
  expect(lstatSync(join(directory, '.reserve')).isFile()).toBe(true);
  expect(() => statSync(join(root, 'nothing'))).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});

test('a reserve of an earlier opening is kept', async () => {
  const directory = join(temporaryDirectory(), 'log');
  const inodes: number[] = [];
  for (let opening = 0; opening < 2; opening++) {
    const wal = await open(directory);
    wal.append('one');
    await wal.sync();
    expect(wal.stats().reserve).toMatchObject({ state: 'ready', bytes: BYTES });
    await wal.close();
    inodes.push(lstatSync(join(directory, '.reserve')).ino);
  }
  expect(inodes[1]).toBe(inodes[0]);
});
