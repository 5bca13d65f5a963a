import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Wal, type WalFollower } from '@walstack/wal';
import { expect, test } from 'vitest';
import { rejection } from '../test-kit/outcomes.js';
import { onSmallDisk, payload } from './support/on-small-disk.js';

/** What docs/operations.md says of followers on a full disk, on a real file system that is filled to the last block. Needs root. */

const OPTIONS = { io: 'thread-pool', segmentBytes: 64 * 1024, preallocate: 'write', markAfterMs: 0 } as const;
const CHILD = fileURLToPath(new URL('./support/follow-and-wait.mjs', import.meta.url));

await onSmallDisk((disk) => {
  /** Commits until the disk is full to the last block. @returns the last LSN that was acknowledged */
  async function fillBrim(wal: Wal): Promise<number> {
    for (let filled = 0; ; filled++) {
      disk().fill();
      expect(await rejection(commitAll(wal))).toMatchObject({ code: 'WAL_NO_SPACE', systemCode: 'ENOSPC' });
      // What the log has given up meanwhile is taken as well.
      if (filled === 3) return wal.durableLsn;
    }
  }

  async function commitAll(wal: Wal): Promise<never> {
    for (;;) await wal.commit(payload(wal.lastLsn + 1));
  }

  async function take(follower: WalFollower<{ readonly lsn: number }>, lastLsn: number): Promise<void> {
    for (;;) {
      const { value } = await follower.next();
      if (value?.lsn === lastLsn) return;
    }
  }

  /** Follows in another process, which has acknowledged the first event, and is killed. */
  async function killedFollower(directory: string, name: string): Promise<void> {
    const child = spawn(process.execPath, [CHILD, directory, name], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    expect(String(said)).toBe('1\n');
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  test('a follower that was killed is opened again and acknowledges, and the log gets its room by that', async () => {
    const directory = join(disk().path, 'log');
    const wal = await Wal.open(directory, OPTIONS);
    while (wal.stats().segments < 8) await wal.commit(payload(wal.lastLsn + 1));
    await killedFollower(directory, 'projection');
    const durable = await fillBrim(wal);
    expect(await wal.truncateBefore(durable)).toMatchObject({
      segmentsDeleted: 0,
      keptFor: [{ name: 'projection', state: 'holding', lsn: 2 }],
    });

    for (const lastLsn of [durable - 60, durable - 20]) {
      disk().fill();
      const follower = Wal.follow(directory, 'stored', { name: 'projection', durableOnly: false });
      await take(follower, lastLsn);
      await follower.acknowledge();
      await follower.return();
      expect(await wal.followers()).toMatchObject([{ name: 'projection', state: 'holding', lsn: lastLsn + 1 }]);
    }
    expect(statSync(join(directory, 'followers', 'projection.follower')).size).toBe(8192);

    expect((await wal.truncateBefore(durable)).segmentsDeleted).toBeGreaterThan(0);
    const { lastLsn } = wal;
    await wal.durable(lastLsn);
    expect(await wal.commit(payload(lastLsn + 1))).toBe(lastLsn + 1);
    await wal.shutdown();
    const again = await Wal.open(directory, OPTIONS);
    expect([again.lastLsn, again.firstLsn <= durable - 19]).toEqual([lastLsn + 1, true]);
    await again.shutdown();
  });

  test('a new name is refused, with nothing left behind, and taken when there is room', async () => {
    const directory = join(disk().path, 'log');
    const wal = await Wal.open(directory, OPTIONS);
    while (wal.stats().segments < 3) await wal.commit(payload(wal.lastLsn + 1));
    await killedFollower(directory, 'there');
    await fillBrim(wal);
    const follow = (): WalFollower<{ readonly lsn: number }> => Wal.follow(directory, 'stored', { name: 'new' });
    expect(await rejection(follow().next())).toMatchObject({
      code: 'WAL_NO_SPACE',
      message: expect.stringContaining('follow again when there is room') as string,
    });
    expect(existsSync(join(directory, 'followers', 'new.follower'))).toBe(false);
    expect(await wal.followers()).toMatchObject([{ name: 'there' }]);
    disk().leave(1024 * 1024);
    const follower = follow();
    await take(follower, 1);
    await follower.return();
    await wal.shutdown();
  });
});
