import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

/** With `WALSTACK_LONG` set, a backup each second for a minute. */
const isLong = process.env['WALSTACK_LONG'] !== undefined;
const BACKUPS = isLong ? 60 : 12;
const PAUSE_MS = isLong ? 1000 : 0;

/** The names of a directory's files, but for its lock, with a hash of the bytes of each. */
function hashes(directory: string): Record<string, string> {
  const names = readdirSync(directory).filter((name) => !name.startsWith('LOCK'));
  const hash = (name: string) =>
    createHash('sha256')
      .update(readFileSync(join(directory, name)))
      .digest('hex');
  return Object.fromEntries(names.map((name) => [name, hash(name)]));
}

describe.each(BACKENDS)('on %s', (name, create) => {
  test('backups beside a busy writer that truncates and reuses its files: each opens, each is a prefix, none changes', async () => {
    const io = create();
    const directory = directoryFor(io);
    const isReal = io.capabilities.realFiles;
    const wal = await Wal.open(directory, {
      io,
      segmentBytes: 32_768,
      preallocate: 'write',
      recycleSegments: 4,
      encoding: 'utf8',
    });
    const payloadOf = (lsn: number): string => `event ${lsn} `.padEnd(100 + (lsn % 400), '.');
    let isBusy = true;
    let acknowledged = 0;
    const write = async (): Promise<void> => {
      while (isBusy) {
        const lsns = await Promise.all(Array.from({ length: 16 }, () => wal.commit(payloadOf(wal.lastLsn + 1))));
        acknowledged = lsns.at(-1) as number;
        if (acknowledged % 7 === 0) await wal.truncateBefore(Math.max(wal.firstLsn, acknowledged - 300));
        await new Promise(setImmediate);
      }
    };
    const writing = write();
    const made: {
      readonly path: string;
      readonly hashes: object;
      readonly firstLsn: number;
      readonly lastLsn: number;
    }[] = [];
    for (let backup = 1; backup <= BACKUPS; backup++) {
      await setTimeout(PAUSE_MS);
      const target = acknowledged + 60;
      while (acknowledged < target) await new Promise(setImmediate);
      // Every third one brings an earlier one up to date.
      const path = join(directory, '..', `backup ${backup % 3 === 0 ? 'again' : backup}`);
      const before = acknowledged;
      const { firstLsn, lastLsn } = await wal.backup(path, { hardLinks: backup % 4 !== 1 });
      expect(lastLsn).toBeGreaterThanOrEqual(before);
      made.push({ path, hashes: isReal ? hashes(path) : {}, firstLsn, lastLsn });
      await expectPrefix(path, firstLsn, lastLsn);
    }
    isBusy = false;
    await writing;
    await wal.truncateBefore(wal.lastLsn);
    await wal.shutdown();
    for (const { path, ...then } of made.filter((each) => made.findLast(({ path }) => path === each.path) === each)) {
      if (isReal) expect(hashes(path)).toEqual(then.hashes);
      await expectPrefix(path, then.firstLsn, then.lastLsn);
    }
    await io.dispose();

    async function expectPrefix(path: string, firstLsn: number, lastLsn: number): Promise<void> {
      const copy = await Wal.open(path, { io, recoveryMode: 'readonly', encoding: 'utf8' });
      expect([copy.firstLsn, copy.lastLsn, copy.durableLsn]).toEqual([firstLsn, lastLsn, lastLsn]);
      let next = firstLsn;
      await copy.replay('first', ({ lsn, payload }) => {
        if (lsn !== next || payload !== payloadOf(lsn)) throw new Error(`${name}: LSN ${lsn} is ${payload}`);
        next++;
      });
      expect(next).toBe(lastLsn + 1);
      await copy.close();
    }
  });
});

test('what was appended before the call is in it, a URL names the directory, and a log that is closed has no backups', async () => {
  const directory = temporaryDirectory();
  const wal = await Wal.open(join(directory, 'log'), { encoding: 'json' });
  wal.append({ order: 17 });
  const commit = wal.commit({ order: 18 });
  const url = pathToFileURL(join(directory, 'backup'));
  expect(await wal.backup(url)).toMatchObject({ firstLsn: 1, lastLsn: 2, directory: join(directory, 'backup') });
  expect(await commit).toBe(2);
  expect(wal.durableLsn).toBe(2);
  const shutdown = wal.shutdown();
  expect(await rejection(wal.backup(url))).toMatchObject({ code: 'WAL_STATE' });
  await shutdown;
  expect(await rejection(wal.backup(url))).toMatchObject({ code: 'WAL_CLOSED' });
  const restored = await Wal.open(url, { encoding: 'json' });
  expect([(await restored.read(1))?.payload, (await restored.read(2))?.payload]).toEqual([
    { order: 17 },
    { order: 18 },
  ]);
  await restored.shutdown();
});
