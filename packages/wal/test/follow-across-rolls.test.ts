import { createInterface } from 'node:readline';
import { openStorageIo } from '@walstack/storage-io';
import { Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';
import { Child, FOLLOWED } from './support/children.js';

/** `WALSTACK_FOLLOW_EVENTS=1000000` for the whole length. */
const EVENTS = Number(process.env['WALSTACK_FOLLOW_EVENTS'] ?? 20_000);
/** Some 60 segments, whatever the number of events. */
const SEGMENT_BYTES = Math.max(8192, Math.floor((EVENTS * 140) / 60));
const MINUTE = 60_000;

const payloadOf = (lsn: number): string => `event ${lsn}`.padEnd(100, '.');

/** Checks that events come once each, in order. */
class Check {
  lsn = 0;

  add(events: readonly { readonly lsn: number; readonly payload: Uint8Array }[]): void {
    for (const { lsn, payload } of events) {
      if (lsn !== this.lsn + 1 || text(payload) !== payloadOf(lsn))
        expect([lsn, text(payload)]).toEqual([this.lsn + 1, '']);
      this.lsn = lsn;
    }
  }
}

test(
  'every record once, in order, across 50 rolls and truncations, in the same process',
  async () => {
    const wal = await Wal.open(`${temporaryDirectory()}/log`, { segmentBytes: SEGMENT_BYTES });
    let truncations = 0;
    const writing = (async () => {
      while (wal.lastLsn < EVENTS) {
        const count = Math.min(200, EVENTS - wal.lastLsn);
        for (let each = 0; each < count; each++) wal.append(payloadOf(wal.lastLsn + 1));
        await wal.durable(wal.lastLsn);
        const { segmentsDeleted, segmentsRecycled } = await wal.truncateBefore(wal.durableLsn);
        if (segmentsDeleted + segmentsRecycled > 0) truncations++;
      }
    })();
    const check = new Check();
    for await (const events of wal.follow('first', { batch: 1000 })) {
      check.add(events);
      if (check.lsn === EVENTS) break;
    }
    await writing;
    expect(wal.stats().rolls).toBeGreaterThan(50);
    expect(truncations).toBeGreaterThan(10);
    await wal.shutdown();
  },
  10 * MINUTE,
);

test(
  'every record once, in order, across 50 rolls and truncations, in another process',
  async () => {
    const directory = `${temporaryDirectory()}/log`;
    const child = new Child(FOLLOWED, directory, `${EVENTS}`, `${SEGMENT_BYTES}`);
    const lines = createInterface({ input: child.output })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe('open');
    const check = new Check();
    for await (const events of Wal.follow(directory, 'first', { batch: 1000 })) {
      check.add(events);
      child.tell(`${check.lsn}\n`);
      if (check.lsn === EVENTS) break;
    }
    const [rolls, truncations] = ((await lines.next()).value as string).split(' ').map(Number);
    expect(rolls).toBeGreaterThan(50);
    expect(truncations).toBeGreaterThan(10);
  },
  10 * MINUTE,
);

test('a follower without the writer continues across reopening, and sees what a mark proves durable', async () => {
  const io = openStorageIo('sync-fs');
  const directory = `${temporaryDirectory()}/log`;
  expect(await rejection(Wal.follow(directory, 1).next())).toMatchObject({ code: 'WAL_NOT_FOUND' });
  await (await Wal.open(directory, { io })).shutdown();

  const found: number[] = [];
  const following = (async () => {
    for await (const { lsn } of Wal.follow(directory, 1, { io: 'thread-pool', pollMs: 50 })) {
      found.push(lsn);
      if (lsn === 60) break;
    }
  })();
  for (let life = 0; life < 6; life++) {
    const wal = await Wal.open(directory, { io, segmentBytes: 8192, markAfterMs: 1 });
    for (let each = 0; each < 10; each++) await wal.commit('x'.repeat(500));
    if (life % 2 === 0) await wal.shutdown();
    else await wal.close();
  }
  await following;
  expect(found).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
  await io.dispose();
});
