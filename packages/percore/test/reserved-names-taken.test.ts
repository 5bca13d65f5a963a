import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PerCoreWalConfig, PerCoreWalManager } from '@walstack/percore';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { coded } from './support/errors.js';

const open = (directory: string, more: Partial<PerCoreWalConfig> = {}) =>
  PerCoreWalManager.open({ directory, cores: 2, io: 'sync-fs', ...more });

/** A log with a checkpoint, whose manifest is damaged. */
async function damaged(): Promise<string> {
  const directory = join(temporaryDirectory(), 'log');
  const manager = await open(directory);
  manager.writer(0).appendPut('a', '1');
  await manager.checkpoint(() => {});
  manager.writer(0).appendPut('b', '2');
  await manager.close();
  writeFileSync(join(directory, 'manifest'), 'damaged');
  return directory;
}

test('salvage keeps discarded files under another name when a file is called quarantine', async () => {
  const directory = await damaged();
  writeFileSync(join(directory, 'quarantine'), 'something else');
  const manager = await open(directory, { recoveryMode: 'salvage' });
  expect(manager.salvage?.quarantine).toEqual([join(directory, 'quarantine-1')]);
  await manager.close();
  const kept = readdirSync(join(directory, 'quarantine-1')).map((name) => name.replace(/\d+$/, ''));
  expect(kept.sort()).toEqual(['manifest-', 'salvage-']);
  await (await open(directory)).close();
});

test('the losses in the log of a core are reported when its quarantine has another name', async () => {
  const directory = join(temporaryDirectory(), 'log');
  const manager = await open(directory);
  for (const key of ['kept', 'first lost', 'last lost']) manager.writer(1).appendPut(key, '');
  const { lastLsn } = manager.writer(1);
  await manager.close();
  const core = join(directory, 'core-1');
  const [segment] = readdirSync(core).filter((name) => name.startsWith('wal-'));
  const path = join(core, segment as string);
  const bytes = readFileSync(path);
  bytes.write('F', bytes.indexOf('first lost'));
  writeFileSync(path, bytes);
  writeFileSync(join(core, 'quarantine'), 'something else');

  const salvaged = await open(directory, { recoveryMode: 'salvage' });
  const { lost, quarantine } = salvaged.salvage ?? {};
  await salvaged.close();
  expect(lost).toEqual([expect.objectContaining({ coreId: 1, fromLsn: lastLsn - 1 })]);
  const [report] = readdirSync(join(core, 'quarantine-1'));
  expect(quarantine).toEqual([join(core, 'quarantine-1', report as string)]);
});

test('a directory with the name of the note prevents a salvage, and nothing else', async () => {
  const directory = await damaged();
  mkdirSync(join(directory, 'salvage'));
  const before = readdirSync(directory);
  await expect(open(directory)).rejects.toEqual(coded('WAL_CORRUPT', { path: join(directory, 'manifest') }));
  const refused = coded('WAL_CORRUPT', { reason: 'salvage-name', cause: coded('WAL_CORRUPT') });
  await expect(open(directory, { recoveryMode: 'salvage' })).rejects.toEqual(refused);
  expect(readdirSync(directory)).toEqual(before);
  rmSync(join(directory, 'salvage'), { recursive: true });
  await (await open(directory, { recoveryMode: 'salvage' })).close();
  mkdirSync(join(directory, 'salvage'));
  await (await open(directory)).close();
});
