import { Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';
import { Child, COMMITTER, HOLDER, UNWATCHED } from './support/children.js';
import { eventsOf, textsOf } from './support/outcomes.js';

test('a log that another process has open is WAL_LOCKED, and unlocked once that process is killed', async () => {
  const directory = `${temporaryDirectory()}/log`;
  const child = new Child(HOLDER, directory);
  for await (const line of child.lines) {
    expect(line).toBe('open');
    break;
  }
  const error = await rejection(Wal.open(directory));
  expect(error).toMatchObject({ code: 'WAL_LOCKED', holder: expect.stringContaining(String(child.pid)) });
  await child.kill();
  await using wal = await Wal.open(directory);
  expect(await textsOf(wal)).toEqual(['by the child']);
  expect(wal.recovery.cleanlyClosed).toBe(false);
});

const KILL_AFTER = [1, 40, 7, 200, 90];

test.each(['sync-fs', 'thread-pool'] as const)(
  'nothing that was acknowledged is lost when the committing process is killed, on %s',
  async (io) => {
    const directory = `${temporaryDirectory()}/log`;
    let acknowledged = 0;
    let recovered = 0;
    for (const killAfter of KILL_AFTER) {
      const child = new Child(COMMITTER, directory, io);
      let count = 0;
      for await (const line of child.lines) {
        acknowledged = Math.max(acknowledged, Number(line));
        count++;
        if (count === killAfter) void child.kill();
      }
      await child.kill();
      expect(count).toBeGreaterThanOrEqual(killAfter);

      await using wal = await Wal.open(directory, { io });
      const events = await eventsOf(wal);
      expect(events.map(({ lsn }) => lsn)).toEqual(events.map((_, index) => index + 1));
      for (const { lsn, payload } of events) expect(text(payload)).toBe(`event ${lsn}`.padEnd(150, '.'));
      expect(events.length).toBeGreaterThanOrEqual(acknowledged);
      expect(events.length).toBeGreaterThan(recovered);
      expect(wal.recovery).toMatchObject({ created: false, cleanlyClosed: false, lastLsn: events.length });
      recovered = events.length;
    }
    expect(acknowledged).toBeGreaterThanOrEqual(KILL_AFTER.reduce((sum, each) => sum + each));
  },
);

test('a process that follows a log stays alive, also without notifications of changes', async () => {
  const directory = `${temporaryDirectory()}/log`;
  await using wal = await Wal.open(directory, { markAfterMs: 0 });
  await wal.commit('a');
  await wal.commit('b');
  const child = new Child(UNWATCHED, directory);
  const found: string[] = [];
  for await (const line of child.lines) {
    found.push(line);
    // It waits for something to prove the second one durable.
    if (found.length === 1) await wal.commit('c');
  }
  expect(found).toEqual(['a', 'b']);
});
