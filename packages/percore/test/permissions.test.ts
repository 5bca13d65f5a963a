import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CoreWalWriter, type PerCoreWalConfig, PerCoreWalManager } from '@walstack/percore';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { DIRECTORY, damage, open, writeEpochs } from './support/logs.js';

const MODES = { fileMode: 0o640, directoryMode: 0o750 };

/** The permissions of everything below a directory, by path. */
function modesIn(directory: string): Map<string, string> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return new Map(
    names.map((name) => {
      const stats = lstatSync(join(directory, name));
      return [name, `${stats.isDirectory() ? 'directory' : 'file'} ${(stats.mode & 0o777).toString(8)}`];
    }),
  );
}

const kinds = (modes: Map<string, string>): string[] => [...new Set(modes.values())].sort();

describe.each([
  ['by default for their owner only', {}, ['directory 700', 'file 600']],
  ['with fileMode and directoryMode', MODES, ['directory 750', 'file 640']],
])('files and directories are made %s', (_how, modes, expected) => {
  const config = (more: Partial<Omit<PerCoreWalConfig, 'directory'>> = {}) => ({
    directory: join(temporaryDirectory(), 'made', 'too'),
    cores: 2,
    io: 'sync-fs' as const,
    blockBytes: 512,
    segmentBytes: 4096,
    ...modes,
    ...more,
  });

  test('by a manager, with a checkpoint, and by a writer without one', async () => {
    const { directory, ...options } = config();
    await writeEpochs(await PerCoreWalManager.open({ directory, ...options }));
    const writer = await CoreWalWriter.open(1, directory, { io: 'sync-fs', ...modes });
    writer.appendPut('a', 'b');
    await writer.close();
    const found = modesIn(join(directory, '../..'));
    expect(kinds(found)).toEqual(expected);
    for (const name of ['made', 'made/too/manifest', 'made/too/LOCK', 'made/too/core-1'])
      expect(found.has(name)).toBe(true);
  });

  test('by writers in worker threads', async () => {
    const module = new URL('./support/programs.mjs', import.meta.url).href;
    const { directory, ...options } = config({ workers: { run: { module, export: 'obey', options: {} } } });
    const manager = await PerCoreWalManager.open({ directory, ...options });
    await manager.endEpoch();
    await manager.close();
    const found = modesIn(join(directory, '../..'));
    expect(kinds(found)).toEqual(expected);
    expect([...found.keys()].some((name) => name.endsWith('.seg'))).toBe(true);
  });
});

test('a salvage makes its files, copies and directories with them, in memory as well', async () => {
  await using io = createMemoryStorageIo();
  await writeEpochs(await open(io, 2, MODES));
  await damage(io, 0, '3/0');
  expect(await rejection(open(io, 2, MODES))).toMatchObject({ code: 'WAL_CORRUPT' });
  const manager = await open(io, 2, { ...MODES, recoveryMode: 'salvage', salvageLsn: { 0: 100 } });
  expect(manager.salvage).toBeDefined();
  await manager.close();
  const found = new Map<string, string>();
  const walk = (path: string): void => {
    const { kind, mode = -1 } = io.stat(path);
    found.set(path, `${kind} ${mode.toString(8)}`);
    if (kind === 'directory') for (const name of io.list(path)) walk(`${path}/${name}`);
  };
  walk(DIRECTORY);
  expect(kinds(found)).toEqual(['directory 750', 'file 640']);
  expect([...found.keys()].some((path) => path.includes('/quarantine/'))).toBe(true);
});

test('permissions without which the log could not open its own files are refused', async () => {
  const directory = join(temporaryDirectory(), 'log');
  for (const wrong of [{ fileMode: 0o400 }, { directoryMode: 0o600 }, { fileMode: 0o1600 }]) {
    const opened = PerCoreWalManager.open({ directory, cores: 1, io: 'sync-fs', ...wrong });
    expect(await rejection(opened)).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
  }
});
