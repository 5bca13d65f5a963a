import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { WalError } from '@walstack/codec';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { checkpointOf, commit, small, take } from './support/named-logs.js';

/** The delays of the timers with which a follower waits: 16 s in all. */
const DELAYS = Array.from({ length: 14 }, (_, look) => 2 ** look);

/**
 * A log that is open, and a follower that needs event 5 of it. The writer has announced to remove the first three segments, and is
 * about to do so, or not: it may have seen the follower, or have read its file before that was there, or have taken it for expired.
 */
async function announced() {
  const directory = `${temporaryDirectory()}/log`;
  const wal = await Wal.open(directory, small);
  await commit(wal, 60);
  await wal.checkpoint(3);
  const { number, firstLsn } = wal.listSegments()[3] as { readonly number: number; readonly firstLsn: number };
  const held = Wal.follow(directory, 5, { name: 'held' });
  await take(held);
  await held.return();
  const [stored] = await wal.followers();
  const { checkpoint, bytes, replace } = checkpointOf(directory);
  replace({ ...checkpoint, firstSegment: number, unsettled: { firstSegment: checkpoint.firstSegment } });
  const takesBack = (): void => replace(bytes);
  const removes = (): void => {
    const names = readdirSync(directory).filter((name) => name.startsWith('wal-'));
    for (const name of names.sort().slice(0, 3)) rmSync(join(directory, name));
  };
  return { directory, wal, firstLsn, stored, takesBack, removes };
}

/** Resolves when a follower has set a timer of this delay. @param taking - its call, which is not to be over before */
async function waits(time: ManualTime, delayMs: number, taking: Promise<unknown>): Promise<void> {
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  taking.then(over, over);
  while (!time.waiting.includes(delayMs)) {
    if (isOver) throw new Error('the follower has not waited');
    await turns(1);
  }
}

describe('a follower whose first event a writer is about to remove waits until that is settled', () => {
  test.each(['stored', 7] as const)('and is told so when the event is removed (from %j)', async (from) => {
    const { directory, wal, firstLsn, stored, removes } = await announced();
    const time = new ManualTime();
    const taking = rejection(take(Wal.follow(directory, from, { name: 'held', ...time.options })));
    for (const delay of DELAYS.slice(0, 3)) {
      await waits(time, delay, taking);
      expect(time.fire(delay)).toBe(1);
    }
    await waits(time, 8, taking);
    removes();
    time.fire(8);
    const error: WalError = await taking;
    expect(error).toMatchObject({ code: 'WAL_TRUNCATED', lsn: from === 'stored' ? 5 : from, firstLsn });
    // What was stored stays as it was, with its time.
    expect(await wal.followers()).toMatchObject([{ name: 'held', lsn: stored?.lsn, storedAtMs: stored?.storedAtMs }]);
    await wal.close();
  });

  test('and skips it when it is removed, where it is to', async () => {
    const { directory, wal, firstLsn, removes } = await announced();
    const time = new ManualTime();
    const follower = Wal.follow(directory, 'stored', { name: 'held', onTruncated: 'skip', ...time.options });
    const taking = take(follower);
    await waits(time, 1, taking);
    removes();
    time.fire(1);
    expect(await taking).toBe(firstLsn);
    expect(follower.skipped).toEqual([{ fromLsn: 5, toLsn: firstLsn - 1 }]);
    expect(await take(follower)).toBe(firstLsn + 1);
    await follower.acknowledge();
    await follower.return();
    expect(await wal.followers()).toMatchObject([{ name: 'held', lsn: firstLsn + 2 }]);
    await wal.close();
  });

  test('and begins with it when the truncation is taken back', async () => {
    const { directory, wal, takesBack } = await announced();
    const time = new ManualTime();
    const follower = Wal.follow(directory, 'stored', { name: 'held', ...time.options });
    const taking = take(follower);
    await waits(time, 1, taking);
    takesBack();
    time.fire(1);
    expect(await taking).toBe(5);
    expect(await take(follower)).toBe(6);
    await follower.return();
    await wal.close();
  });

  test('and no longer than 16 s: a writer without room leaves it announced, and may wait for the follower', async () => {
    const { directory, wal } = await announced();
    const time = new ManualTime();
    const follower = Wal.follow(directory, 'stored', { name: 'held', ...time.options });
    const taking = take(follower);
    for (const delay of DELAYS) {
      await waits(time, delay, taking);
      time.fire(delay);
    }
    expect(await taking).toBe(5);
    await follower.return();
    await wal.close();
  });

  test('and not when the writer has ended: the next opening takes it back', async () => {
    const { directory, wal } = await announced();
    const time = new ManualTime();
    const taking = take(Wal.follow(directory, 'stored', { name: 'held', ...time.options }));
    await waits(time, 1, taking);
    // It does not replace the checkpoint, of which it knows nothing else.
    await wal.close();
    time.fire(1);
    expect(await taking).toBe(5);
  });

  test('until it is ended', async () => {
    const { directory, wal } = await announced();
    const time = new ManualTime();
    const returned = Wal.follow(directory, 'stored', { name: 'held', ...time.options });
    const taking = returned.next();
    await waits(time, 1, taking);
    await returned.return();
    expect(await taking).toEqual({ done: true, value: undefined });
    const { signal, abort } = aborting();
    const aborted = rejection(take(Wal.follow(directory, 'stored', { name: 'held', signal, ...time.options })));
    await waits(time, 1, aborted);
    abort();
    expect(await aborted).toMatchObject({ code: 'WAL_ABORTED' });
    expect(time.waiting.filter((delay) => DELAYS.includes(delay))).toEqual([]);
    await wal.close();
  });
});

function aborting() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}
