import { openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createSyncFsStorageIo } from '@walstack/storage-io';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { Child, HOLDER } from './support/children.js';
import { textsOf, watch } from './support/outcomes.js';

const small = { segmentBytes: 4096, blockBytes: 512, io: 'sync-fs' } as const;

/** A log on real files with 50 events. */
async function made(): Promise<string> {
  const directory = `${temporaryDirectory()}/log`;
  const wal = await Wal.open(directory, small);
  for (let lsn = 1; lsn <= 50; lsn++) await wal.commit(`event ${lsn}`.padEnd(300, '.'));
  await wal.shutdown();
  return directory;
}

/** Damages a byte in the middle of a segment, and returns its path. */
function damage(directory: string, index: number): string {
  const names = readdirSync(directory).filter((name) => name.startsWith('wal-'));
  const path = join(directory, names.sort()[index] as string);
  const at = 1500;
  writeSync(openSync(path, 'r+'), Uint8Array.of((readFileSync(path)[at] as number) ^ 0xff), 0, 1, at);
  return path;
}

describe('a log that lost acknowledged events', () => {
  test('is rejected by default, and nothing is changed', async () => {
    const directory = await made();
    const path = damage(directory, 2);
    const before = readdirSync(directory);
    expect(await rejection(Wal.open(directory, small))).toMatchObject({ code: 'WAL_CORRUPT', path });
    expect(await rejection(Wal.recover(directory, small))).toMatchObject({ code: 'WAL_CORRUPT', path });
    expect(readdirSync(directory)).toEqual(before);
  });

  test('continues with the events before the loss with salvage, and reports the loss', async () => {
    const directory = await made();
    damage(directory, 2);
    const report = await Wal.recover(directory, { ...small, recoveryMode: 'salvage' });
    const first = report.salvage?.lost[0]?.fromLsn as number;
    expect(report).toMatchObject({ mode: 'salvage', reason: 'salvaged', firstLsn: 1, lastLsn: first - 1 });
    expect(report.salvage).toMatchObject({ lost: [{ fromLsn: first, toLsn: 50 }], damage: { code: 'WAL_CORRUPT' } });
    // Beside the quarantined files: the report of the decision.
    expect(readdirSync(report.salvage?.quarantine as string)).toEqual([
      'salvage',
      ...(report.salvage?.quarantined ?? []),
    ]);
    await using wal = await Wal.open(directory, small);
    expect(await wal.commit('next')).toBe(first);
    expect(await textsOf(wal)).toHaveLength(first);
  });
});

test('recover reports what it found, and creates no log', async () => {
  const directory = await made();
  const report = { reason: 'clean', created: false, records: 50, firstLsn: 1, lastLsn: 50, cutBytes: 0 };
  expect(await Wal.recover(directory, small)).toMatchObject({ ...report, mode: 'strict' });
  expect(await Wal.recover(directory, { recoveryMode: 'readonly' })).toMatchObject({ ...report, mode: 'readonly' });
  const missing = `${temporaryDirectory()}/nothing`;
  expect(await rejection(Wal.recover(missing))).toMatchObject({ code: 'WAL_NOT_FOUND' });
  expect(await rejection(Wal.recover(missing, { recoveryMode: 'hope' as never }))).toBeInstanceOf(RangeError);
});

describe('read-only', () => {
  test('a log is read while its writer has it open, as it was at the opening, and nothing is changed', async () => {
    const directory = await made();
    const writer = await Wal.open(directory, small);
    await writer.commit('event 51');
    const before = readdirSync(directory).sort();
    const reader = await Wal.open(directory, { ...small, recoveryMode: 'readonly' });
    await writer.commit('event 52');
    expect([reader.firstLsn, reader.lastLsn]).toEqual([1, 51]);
    expect((await textsOf(reader, 51))[0]).toBe('event 51');
    await Promise.all([reader.flush(), reader.sync()]);
    expect(readdirSync(directory).sort()).toEqual(before);
    await reader.shutdown();
    expect(reader.state).toBe('closed');
    await writer.shutdown();
  });

  test('calls that would change it are WAL_STATE', async () => {
    const directory = await made();
    const wal = await Wal.open(directory, { ...small, recoveryMode: 'readonly' });
    const refused = { code: 'WAL_STATE', state: 'readonly' };
    expect(thrown(() => wal.append('a'))).toMatchObject(refused);
    expect(thrown(() => wal.appendBatch(wal.batch().add('a')))).toMatchObject(refused);
    const calls = [
      wal.commit('a'),
      wal.commitBatch(wal.batch().add('a')),
      wal.ready(),
      wal.truncateBefore(10),
      wal.truncateAfter(10),
      wal.resetTo(10),
      wal.checkpoint(10),
      wal.hold('reader', 10),
      wal.releaseHold('reader'),
      wal.rotateKey(),
    ];
    for (const call of calls) expect(await rejection(call)).toMatchObject(refused);
    expect(await textsOf(wal)).toHaveLength(50);
    await wal.close();
  });

  test('a tail that nothing proves durable does not delay reading', async () => {
    const directory = `${temporaryDirectory()}/log`;
    const writer = await Wal.open(directory, { ...small, markAfterMs: 0, flushDelayMs: 0x7fff_ffff });
    writer.append('event 1');
    await writer.flush();
    const reader = await Wal.open(directory, { ...small, recoveryMode: 'readonly' });
    expect([reader.lastLsn, reader.durableLsn]).toEqual([1, 0]);
    expect(await rejection(reader.durable(1))).toMatchObject({ code: 'WAL_STATE', state: 'readonly' });
    await reader.shutdown();
    await writer.shutdown();
  });

  test('it is followed while its writer appends', async () => {
    const directory = await made();
    const reader = await Wal.open(directory, { recoveryMode: 'readonly', encoding: 'utf8' });
    const found: string[] = [];
    const following = (async () => {
      for await (const { payload } of reader.follow(50)) if (found.push(payload) === 3) break;
    })();
    await turns();
    const writer = await Wal.open(directory, small);
    await writer.commit('event 51');
    await writer.commit('event 52');
    await following;
    expect(found.slice(1)).toEqual(['event 51', 'event 52']);
    const next = watch(reader.follow(1000).next());
    await turns();
    await reader.close();
    await turns();
    expect(next.error).toMatchObject({ code: 'WAL_CLOSED' });
    await writer.shutdown();
  });
});

describe('lockTimeoutMs', () => {
  test('waits for the other writer, as in a rolling restart', async () => {
    const directory = await made();
    const io = createSyncFsStorageIo();
    const holder = await Wal.open(directory, { ...small, io });
    await holder.commit('the last one');
    const opening = Wal.open(directory, { ...small, lockTimeoutMs: 60_000 });
    const next = watch(opening);
    await turns();
    expect(next.state).toBe('pending');
    await holder.shutdown();
    const wal = await opening;
    expect(await textsOf(wal, 51)).toEqual(['the last one']);
    await wal.shutdown();
    await io.dispose();
  });

  test('is WAL_LOCKED with the holder after that time', async () => {
    const directory = `${temporaryDirectory()}/log`;
    const child = new Child(HOLDER, directory);
    for await (const line of child.lines) {
      expect(line).toBe('open');
      break;
    }
    const error = await rejection(Wal.open(directory, { lockTimeoutMs: 50 }));
    expect(error).toMatchObject({ code: 'WAL_LOCKED', holder: expect.stringContaining(String(child.pid)) });
    const opening = Wal.open(directory, { lockTimeoutMs: 60_000 });
    await child.kill();
    await (await opening).shutdown();
  });
});
