import { Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { Child, NAMED } from './support/children.js';

const EVENTS = Number(process.env['WALSTACK_FOLLOW_EVENTS'] ?? 20_000);
const KILLS = 8;
/** The writer waits when the follower is so far behind, so that there is a follower to kill until the end. */
const AHEAD_MAX = 2000;
const MINUTE = 60_000;

test(
  'a follower in another process that is killed and restarted loses no record to a writer that truncates all the time',
  async () => {
    const directory = `${temporaryDirectory()}/log`;
    const wal = await Wal.open(directory, { segmentBytes: 16_384 });
    let child = new Child(NAMED, directory, 'projection');
    let lines = child.lines[Symbol.asyncIterator]();
    /** Everything up to here was printed by the follower, without a gap. */
    let seen = 0;
    let kills = 0;
    let repeated = 0;
    let truncations = 0;
    const note = (line: string): void => {
      const [first = 0, last = 0] = line.split(' ').map(Number);
      // At least once: it may begin again before what it has printed, and never behind it.
      if (!(first >= 1 && first <= seen + 1 && last >= first)) expect([line, seen]).toEqual(['in order', seen]);
      if (first <= seen) repeated++;
      seen = Math.max(seen, last);
    };
    while (seen < EVENTS) {
      while (wal.lastLsn < Math.min(EVENTS, seen + AHEAD_MAX)) {
        const count = Math.min(200, EVENTS - wal.lastLsn);
        for (let each = 0; each < count; each++) wal.append(`event ${wal.lastLsn + 1}`.padEnd(100, '.'));
        await wal.durable(wal.lastLsn);
        // Everything: what is not truncated is kept for the follower, which the log does not know before it has begun once.
        if (seen === 0) continue;
        const { segmentsDeleted, segmentsRecycled } = await wal.truncateBefore(wal.durableLsn);
        if (segmentsDeleted + segmentsRecycled > 0) truncations++;
      }
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`the follower has ended at ${seen}`);
      note(value as string);
      if (kills === KILLS || seen < ((kills + 1) * EVENTS) / (KILLS + 1)) continue;
      await child.kill();
      kills++;
      // What it has printed, it may have acknowledged.
      for (let rest = await lines.next(); rest.done !== true; rest = await lines.next()) note(rest.value);
      await wal.truncateBefore(wal.durableLsn);
      child = new Child(NAMED, directory, 'projection');
      lines = child.lines[Symbol.asyncIterator]();
    }
    expect(kills).toBe(KILLS);
    expect(repeated).toBeLessThanOrEqual(KILLS);
    expect(truncations).toBeGreaterThan(10);
    expect(wal.firstLsn).toBeGreaterThan(EVENTS / 2);
    expect(await wal.followers()).toMatchObject([{ name: 'projection', state: 'holding' }]);
    await child.kill();
    expect(await wal.followers()).toMatchObject([{ name: 'projection', state: 'holding', alive: false }]);
    expect(await wal.removeFollower('projection')).toBe(true);
    await wal.shutdown();
  },
  5 * MINUTE,
);
