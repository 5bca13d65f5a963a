import { chmodSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { flip, readFile, writeFile } from './support/files.js';

const SMALL = { segmentBytes: 4096, blockBytes: 512, markAfterMs: 0 };

/** The permissions of everything below a directory, and of the directory, by path. */
function modesIn(io: StorageIo, path: string, found = new Map<string, string>()): Map<string, string> {
  const { kind, mode = -1 } = io.stat(path);
  found.set(path, `${kind} ${mode.toString(8)}`);
  if (kind === 'directory') for (const name of io.list(path)) modesIn(io, join(path, name), found);
  return found;
}

const kinds = (modes: Map<string, string>): string[] => [...new Set(modes.values())].sort();

/** Appends, rolls, truncates, uses files again, sets a checkpoint and a hold. */
async function used(config: SegmentedWalConfig): Promise<void> {
  const wal = await SegmentedWal.open({ ...SMALL, recycleSegments: 2, ...config });
  for (let round = 0; round < 30; round++) {
    wal.append(new Uint8Array(1000));
    await wal.sync();
    if (round % 10 === 9) await wal.truncateBefore(wal.nextLsn - 2);
  }
  await wal.hold('reader', wal.nextLsn);
  await wal.checkpoint(wal.lastLsn);
  await wal.truncateAfter(wal.lastLsn - 1);
  await wal.close();
}

const umask = process.umask();

afterEach(() => void process.umask(umask));

describe.each(BACKENDS)('on %s', (_name, create) => {
  test.each([
    ['by default the owner only has rights', {}, ['directory 700', 'file 600'], 0o022],
    ['fileMode and directoryMode', { fileMode: 0o644, directoryMode: 0o755 }, ['directory 755', 'file 644'], 0o022],
    ['whatever the umask takes away', { fileMode: 0o666, directoryMode: 0o777 }, ['directory 777', 'file 666'], 0o077],
    ['and whatever it leaves', {}, ['directory 700', 'file 600'], 0],
  ])('all that a log makes: %s', async (_what, modes, expected, mask) => {
    await using io = create();
    const directory = join(directoryFor(io), 'made', 'too');
    process.umask(mask);
    await used({ directory, io, ...modes });
    await used({ directory, io, ...modes });
    const made = modesIn(io, join(directory, '..'));
    expect(kinds(made)).toEqual(expected);
    expect([...made.keys()].filter((path) => dirname(path) === directory).length).toBeGreaterThan(3);
  });

  test('what a salvage makes, too', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const modes = { fileMode: 0o640, directoryMode: 0o750 };
    const config = { ...SMALL, directory, io, ...modes };
    const damaged = await SegmentedWal.open(config);
    for (let count = 0; count < 10; count++) damaged.append(new Uint8Array(1000));
    await damaged.close();
    const path = join(directory, io.list(directory).find((name) => name.endsWith('.seg')) as string);
    const files = io.capabilities.canWait ? io : createSyncFsStorageIo();
    writeFile(files, path, flip(700)(readFile(files, path)));
    expect(await rejection(SegmentedWal.open(config))).toMatchObject({ code: 'WAL_CORRUPT' });
    const wal = await SegmentedWal.open({ ...config, recoveryMode: 'salvage', salvageLsn: 1000 });
    expect(wal.recovery.salvage).toBeDefined();
    await wal.close();
    const made = modesIn(io, directory);
    expect(kinds(made)).toEqual(['directory 750', 'file 640']);
    expect([...made.keys()].some((path) => path.includes('quarantine'))).toBe(true);
  });
});

test('existing files keep their permissions; those made from now on have the new ones', async () => {
  await using io = createSyncFsStorageIo();
  const directory = join(temporaryDirectory(), 'log');
  await used({ directory, io, recycleSegments: 0 });
  const before = modesIn(io, directory);
  const wal = await SegmentedWal.open({ ...SMALL, directory, io, fileMode: 0o644, directoryMode: 0o755 });
  for (let count = 0; count < 10; count++) wal.append(new Uint8Array(1000));
  await wal.close();
  for (const [path, mode] of modesIn(io, directory)) {
    // The checkpoint is replaced as a whole when the log is opened or a segment is removed.
    if (!path.endsWith('checkpoint')) expect(mode, path).toBe(before.get(path) ?? 'file 644');
  }
});

test.each([
  [{ fileMode: 0o400 }, 'ERR_OUT_OF_RANGE'],
  [{ fileMode: 0o1600 }, 'ERR_OUT_OF_RANGE'],
  [{ fileMode: -1 }, 'ERR_OUT_OF_RANGE'],
  [{ fileMode: '600' }, 'ERR_INVALID_ARG_TYPE'],
  [{ directoryMode: 0o600 }, 'ERR_OUT_OF_RANGE'],
  [{ directoryMode: 0o1777 }, 'ERR_OUT_OF_RANGE'],
  [{ directoryMode: null }, 'ERR_INVALID_ARG_TYPE'],
])('%o is refused, and nothing is made', async (modes, code) => {
  await using io = createSyncFsStorageIo();
  const directory = join(temporaryDirectory(), 'log');
  expect(await rejection(SegmentedWal.open({ directory, io, ...(modes as object) }))).toMatchObject({ code });
  expect(io.list(dirname(directory))).toEqual([]);
});

test('a directory that belongs to another group keeps its bits beyond permissions', async () => {
  await using io = createSyncFsStorageIo();
  const parent = temporaryDirectory();
  chmodSync(parent, 0o2755);
  if ((statSync(parent).mode & 0o2000) === 0) return;
  onTestFinished(() => chmodSync(parent, 0o755));
  const wal = await SegmentedWal.open({ directory: join(parent, 'log'), io, directoryMode: 0o770 });
  await wal.close();
  expect(statSync(join(parent, 'log')).mode & 0o7777).toBe(0o2770);
});
