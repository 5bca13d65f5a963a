import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CoreWalWriter, PerCoreRecovery, type PerCoreWalConfig, PerCoreWalManager } from '@walstack/percore';
import { SegmentedWal } from '@walstack/segmented';
import { openStorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { coded } from './support/errors.js';
import { contentsOf } from './support/fixtures.js';
import { writeEpochs } from './support/logs.js';

const open = (directory: string, more: Partial<PerCoreWalConfig> = {}) =>
  PerCoreWalManager.open({ directory, cores: 2, io: 'sync-fs', blockBytes: 512, segmentBytes: 4096, ...more });

/** A log with complete epochs, the first of them in a checkpoint. */
async function made(): Promise<string> {
  const directory = join(temporaryDirectory(), 'log');
  await writeEpochs(await open(directory));
  return directory;
}

const keysOf = (recovery: PerCoreRecovery): string[] =>
  contentsOf(recovery.entries())
    .filter((content) => (content as string[])[0] === 'put')
    .map((content) => (content as string[])[1] as string);

const strictly = async (directory: string): Promise<string[]> => {
  await using recovery = await PerCoreRecovery.open({ directory, io: 'sync-fs' });
  expect(recovery.salvage).toBeUndefined();
  return keysOf(recovery);
};

const segmentsOf = (directory: string, coreId: number): string[] =>
  readdirSync(join(directory, `core-${coreId}`))
    .filter((name) => name.startsWith('wal-'))
    .map((name) => join(directory, `core-${coreId}`, name));

/** Inverts a bit of the key of a put. */
function damage(directory: string, coreId: number, key: string): void {
  for (const path of segmentsOf(directory, coreId)) {
    const bytes = readFileSync(path);
    const at = bytes.indexOf(key);
    if (at === -1) continue;
    bytes[at] = (bytes[at] as number) ^ 1;
    writeFileSync(path, bytes);
    return;
  }
  throw new Error(`${key} is not in the log of core ${coreId}`);
}

/** Appends a record that is not an entry to the log of core 0. */
function appendForeign(directory: string): void {
  const log = SegmentedWal.openSync({ directory: join(directory, 'core-0'), io: 'sync-fs' });
  log.append('not an entry');
  log.closeSync();
}

describe('salvage', () => {
  test('of a log without damage does the same as strict', async () => {
    const directory = await made();
    const manager = await open(directory, { recoveryMode: 'salvage' });
    expect(manager.salvage).toBeUndefined();
    await manager.close();
    expect(existsSync(join(directory, 'quarantine'))).toBe(false);
  });

  test('is not done around damage, as the logs of other cores depend on what a hole may have held', async () => {
    const directory = await made();
    damage(directory, 1, '3/1');
    const recoveryMode = 'skip-corrupt' as 'salvage';
    const refused = { code: 'ERR_OUT_OF_RANGE', message: expect.stringContaining('for a per-core log') };
    await expect(open(directory, { recoveryMode })).rejects.toMatchObject(refused);
    await expect(PerCoreRecovery.open({ directory, recoveryMode })).rejects.toMatchObject(refused);
    await expect(CoreWalWriter.open(1, directory, { recoveryMode })).rejects.toMatchObject(refused);
  });

  test('of one core: the others keep everything, and the report lists the losses', async () => {
    const directory = await made();
    damage(directory, 1, '3/1');
    await expect(open(directory)).rejects.toEqual(coded('WAL_CORRUPT'));
    const manager = await open(directory, { recoveryMode: 'salvage' });
    expect(manager.salvage?.damage).toEqual([coded('WAL_CORRUPT')]);
    const [lost] = manager.salvage?.lost ?? [];
    expect(lost).toMatchObject({ coreId: 1 });
    expect(manager.salvage?.quarantine.length).toBe(1);
    manager.writer(1).appendPut('9/1', '');
    await manager.close();
    expect(await strictly(directory)).toEqual(['2/0', '2/1', '3/0', '4/0', '9/1']);
  });

  test("of one core with 'leave': a consistent cut, and what other cores drop for it is quarantined", async () => {
    const directory = await made();
    damage(directory, 1, '3/1');
    const manager = await open(directory, { recoveryMode: 'salvage', incomplete: 'leave' });
    await manager.close();
    expect(await strictly(directory)).toEqual(['2/0', '2/1']);
    const kept = join(directory, 'quarantine', 'core-0');
    const bytes = readdirSync(kept).map((name) => readFileSync(join(kept, name)).toString('latin1'));
    expect(bytes.join('')).toContain('3/0');
    expect(bytes.join('')).toContain('4/0');
  });

  test('of a core whose directory is missing: it continues after the checkpoint, with its offsets', async () => {
    const directory = await made();
    rmSync(join(directory, 'core-1'), { recursive: true });
    await expect(open(directory)).rejects.toEqual(coded('WAL_CORRUPT', { reason: 'missing-core' }));
    {
      await using recovery = await PerCoreRecovery.open({ directory, io: 'sync-fs', recoveryMode: 'salvage' });
      expect(recovery.salvage?.damage).toEqual([coded('WAL_CORRUPT', { reason: 'missing-core' })]);
      expect(recovery.offsets.get('source')).toBe(1n);
      expect(keysOf(recovery)).toEqual(['2/0', '3/0', '4/0']);
    }
    expect(await strictly(directory)).toEqual(['2/0', '3/0', '4/0']);
    const manager = await open(directory);
    manager.writer(1).appendPut('9/1', '');
    await manager.checkpoint(() => {});
    manager.writer(1).appendPut('10/1', '');
    await manager.close();
    expect(await strictly(directory)).toEqual(['10/1']);
  });

  test('of a core with an older copy of its log, or another log: the snapshot covers what is before the checkpoint', async () => {
    const directory = join(temporaryDirectory(), 'log');
    const older = join(temporaryDirectory(), 'core-1');
    const manager = await open(directory);
    manager.writer(1).appendPut('1/1', '');
    await manager.close();
    cpSync(join(directory, 'core-1'), older, { recursive: true });
    const again = await open(directory);
    for (const core of [0, 1]) again.writer(core).appendPut(`2/${core}`, '');
    await again.checkpoint(() => {});
    for (const core of [0, 1]) again.writer(core).appendPut(`3/${core}`, '');
    await again.close();
    rmSync(join(directory, 'core-1'), { recursive: true });
    cpSync(older, join(directory, 'core-1'), { recursive: true });
    await expect(open(directory)).rejects.toEqual(coded('WAL_CORRUPT', { reason: 'checkpoint' }));
    const salvaged = await open(directory, { recoveryMode: 'salvage' });
    expect(salvaged.salvage?.damage).toEqual([coded('WAL_CORRUPT', { reason: 'checkpoint' })]);
    salvaged.writer(1).appendPut('9/1', '');
    await salvaged.close();
    expect(await strictly(directory)).toEqual(['3/0', '9/1']);
  });

  test.each(['damaged', 'missing'])(
    'of a manifest that is %s: all entries of the logs, and new checkpoint ids',
    async (how) => {
      const directory = await made();
      const path = join(directory, 'manifest');
      if (how === 'missing') rmSync(path);
      else writeFileSync(path, 'no manifest');
      await expect(open(directory)).rejects.toEqual(coded('WAL_CORRUPT'));
      const manager = await open(directory, { recoveryMode: 'salvage' });
      expect(manager.salvage?.damage.length).toBe(1);
      expect(manager.lastCheckpoint).toBeUndefined();
      const { id } = await manager.checkpoint(() => {});
      expect(id).toBeGreaterThan(1_000_000);
      await manager.close();
      expect(await strictly(directory)).toEqual([]);
      if (how === 'damaged') {
        const [name] = readdirSync(join(directory, 'quarantine'));
        expect(readFileSync(join(directory, 'quarantine', name as string), 'utf8')).toBe('no manifest');
      }
    },
  );

  test('of a manifest whose place does not match the log', async () => {
    const directory = await made();
    const { readManifest, writeManifest } = await import('../src/recovery/manifest.js');
    const { createSyncFsStorageIo, runSync } = await import('@walstack/storage-io');
    const io = createSyncFsStorageIo();
    const manifest = runSync(io, readManifest(io, directory));
    const checkpoint = manifest?.checkpoint;
    if (manifest === undefined || checkpoint === undefined) throw new Error('no checkpoint');
    const cores = checkpoint.cores.map((place) => ({ ...place, position: place.position - 1 }));
    runSync(
      io,
      writeManifest({ io, directory, fileMode: 0o600 }, { ...manifest, checkpoint: { ...checkpoint, cores } }),
    );
    await expect(open(directory)).rejects.toEqual(coded('WAL_CORRUPT', { reason: 'checkpoint' }));
    await (await open(directory, { recoveryMode: 'salvage' })).close();
    expect(await strictly(directory)).toEqual(['2/0', '2/1', '3/0', '3/1', '4/0', '4/1']);
    await io.dispose();
  });

  test('of records that are not entries: the entries before them are kept, and they are quarantined', async () => {
    const directory = await made();
    appendForeign(directory);
    const manager = await open(directory, { recoveryMode: 'salvage' });
    expect(manager.salvage?.damage).toEqual([coded('WAL_CORRUPT', { reason: 'entry' })]);
    expect(manager.salvage?.lost.length).toBe(1);
    await manager.close();
    expect((await strictly(directory)).length).toBe(6);
    const kept = join(directory, 'quarantine', 'core-0');
    expect(readdirSync(kept).some((name) => readFileSync(join(kept, name)).includes('not an entry'))).toBe(true);
  });

  test('of the log of one core in a standalone writer, without a manager before', async () => {
    const directory = join(temporaryDirectory(), 'log');
    const options = { io: 'sync-fs', blockBytes: 512, segmentBytes: 4096 } as const;
    const first = await CoreWalWriter.open(0, directory, options);
    for (const key of ['2/0', '3/0', '4/0']) first.appendPut(key, 'x'.repeat(1200));
    await first.close();
    damage(directory, 0, '3/0');
    await expect(CoreWalWriter.open(0, directory, options)).rejects.toEqual(coded('WAL_CORRUPT'));
    const writer = await CoreWalWriter.open(0, directory, { ...options, recoveryMode: 'salvage' });
    expect(writer.recovery.reason).toBe('salvaged');
    await writer.close();
    expect(await strictly(directory)).toEqual(['2/0']);
  });

  test('checks its options', async () => {
    const directory = await made();
    for (const wrong of [
      { recoveryMode: 'readonly' },
      { salvageLsn: 1 },
      { salvageLsn: { 0: 'x' } },
      { salvageLsn: { x: 1 } },
    ]) {
      const opening = open(directory, wrong as unknown as Partial<PerCoreWalConfig>);
      await expect(opening).rejects.toEqual(expect.objectContaining({ code: expect.stringMatching(/^ERR_/) }));
    }
  });

  /** Failures that interrupt a salvage. */
  const ends = {
    recover: () => {
      throw new Error('ends');
    },
  };

  test.each(['take', 'leave'] as const)(
    "that is interrupted is continued, and nothing opens in strict mode before its end, with '%s'",
    async (incomplete) => {
      for (const lose of [
        (directory: string) => damage(directory, 1, '3/1'),
        (directory: string) => rmSync(join(directory, 'core-1'), { recursive: true }),
        (directory: string) => rmSync(join(directory, 'manifest')),
        (directory: string) => writeFileSync(join(directory, 'manifest'), 'damaged'),
      ]) {
        const whole = await made();
        lose(whole);
        const copy = join(temporaryDirectory(), 'log');
        cpSync(whole, copy, { recursive: true });
        const once = await open(copy, { incomplete, recoveryMode: 'salvage' });
        const expected = once.salvage;
        await once.close();
        for (let time = 0; time < 2; time++) {
          const ended = open(whole, { ...ends, incomplete, recoveryMode: 'salvage' });
          await expect(ended).rejects.toMatchObject({ message: 'ends' });
          const refused = coded('WAL_CORRUPT', { reason: 'salvage' });
          await expect(open(whole, { incomplete })).rejects.toEqual(refused);
          await expect(PerCoreRecovery.open({ directory: whole, io: 'sync-fs' })).rejects.toEqual(refused);
        }
        const manager = await open(whole, { incomplete, recoveryMode: 'salvage' });
        expect(manager.salvage?.lost).toEqual(expected?.lost);
        expect(manager.salvage?.damage.map(({ code, reason }) => [code, reason])).toEqual(
          expected?.damage.map(({ code, reason }) => [code, reason]),
        );
        expect(manager.salvage?.quarantine.length).toBe(expected?.quarantine.length);
        await manager.close();
        // What other cores drop is quarantined, as in an uninterrupted salvage.
        const kept = (directory: string): string[] =>
          existsSync(join(directory, 'quarantine')) ? readdirSync(join(directory, 'quarantine')) : [];
        const named = (directory: string): string[] => kept(directory).map((name) => name.replace(/-\d{5,}$/, ''));
        expect(named(whole)).toEqual(named(copy));
        expect(await strictly(whole)).toEqual(await strictly(copy));
      }
    },
  );

  test('of two cores, of which one requires a salvageLsn first, reports both', async () => {
    const directory = await made();
    damage(directory, 0, '3/0');
    for (const path of segmentsOf(directory, 1)) writeFileSync(path, 'no segment'.repeat(500));
    const [first] = await Promise.allSettled([open(directory, { recoveryMode: 'salvage' })]);
    if (first?.status === 'fulfilled') await first.value.close();
    else {
      await expect(open(directory)).rejects.toEqual(coded('WAL_CORRUPT'));
      const manager = await open(directory, { recoveryMode: 'salvage', salvageLsn: { 1: 50 } });
      expect(new Set(manager.salvage?.lost.map(({ coreId }) => coreId))).toContain(0);
      await manager.close();
    }
    await strictly(directory);
  });

  /** Opens copies of a log for a salvage that ends before one change of a file, each before a later one. */
  async function interruptedAtEachChange(whole: string, check: (directory: string) => Promise<void>): Promise<void> {
    for (let changes = 0; ; changes++) {
      const directory = join(temporaryDirectory(), 'log');
      cpSync(whole, directory, { recursive: true });
      let left = changes;
      let isDone = false;
      const sync = openStorageIo('sync-fs');
      const io = new Proxy(sync, {
        get(target, name) {
          const value = Reflect.get(target, name);
          if (typeof value !== 'function') return value;
          if (!['rename', 'submitRemove', 'submitWrite', 'resize'].includes(String(name))) return value.bind(target);
          return (...given: unknown[]) => {
            if (left-- <= 0 && !isDone) throw new Error('ends');
            isDone ||= name === 'submitRemove' && given[0] === join(directory, 'salvage');
            return value.apply(target, given);
          };
        },
      });
      const [opened] = await Promise.allSettled([open(directory, { io, recoveryMode: 'salvage' })]);
      await Promise.allSettled(opened?.status === 'fulfilled' ? [opened.value.close()] : []);
      await sync.dispose();
      if (isDone) {
        expect(changes).toBeGreaterThan(3);
        break;
      }
      await expect(open(directory)).rejects.toEqual(coded('WAL_CORRUPT'));
      await check(directory);
    }
  }

  test('that is interrupted at any change of a file is continued, and nothing opens in strict mode before its end', async () => {
    const whole = await made();
    damage(whole, 1, '3/1');
    rmSync(join(whole, 'core-0'), { recursive: true });
    await interruptedAtEachChange(whole, async (directory) => {
      const manager = await open(directory, { recoveryMode: 'salvage' });
      expect(manager.salvage?.damage.length).toBeGreaterThanOrEqual(2);
      await manager.close();
      expect(await strictly(directory)).toEqual(['2/1']);
    });
  }, 30_000);

  test('of records that are not entries names where they are kept, whenever it was interrupted', async () => {
    const whole = await made();
    appendForeign(whole);
    await interruptedAtEachChange(whole, async (directory) => {
      const manager = await open(directory, { recoveryMode: 'salvage' });
      const { quarantine = [] } = manager.salvage ?? {};
      await manager.close();
      const files = quarantine.flatMap((path) => readdirSync(path).map((name) => join(path, name)));
      const kept = files.map((path) => readFileSync(path).toString('latin1')).join('');
      expect(kept).toContain('not an entry');
    });
  }, 30_000);
});
