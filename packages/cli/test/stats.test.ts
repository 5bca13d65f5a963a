import { join } from 'node:path';
import { Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { cli, json, jsonLines } from './support/cli.js';
import { makeCores, makeEncryptedLog } from './support/logs.js';

test('stats shows a log beside its writer: LSNs, segments, and followers with their lag', async () => {
  const log = join(temporaryDirectory(), 'log');
  const wal = await Wal.open(log, { segmentBytes: 8192, markAfterMs: 0 });
  for (let event = 1; event <= 60; event++) await wal.commit(`event ${event} ${'.'.repeat(300)}`);
  const follower = wal.follow('first', { name: 'copier' });
  await follower.next();
  await follower.acknowledge(1);
  const sample = json(await cli(['stats', log, '--json']));
  expect(sample).toMatchObject({ lastLsn: 60, durableLsn: 59, recordsPerSecond: null });
  expect(sample.segments).toBe(wal.listSegments().length);
  expect(sample.followers).toEqual([{ name: 'copier', lsn: expect.any(Number), lag: expect.any(Number), alive: true }]);
  expect(sample.followers[0].lsn + sample.followers[0].lag).toBe(61);
  await follower.return?.();
  await wal.shutdown();
  // The mark of the close proves the last one.
  expect(json(await cli(['stats', log, '--json']))).toMatchObject({ lastLsn: 60, durableLsn: 60 });
  expect((await cli(['stats', log])).out).toMatch(/copier \d+ behind, not running/);
});

test('stats --watch follows the log: over appends, rolls and a cut, until it is interrupted', async () => {
  const log = join(temporaryDirectory(), 'log');
  const wal = await Wal.open(log, { segmentBytes: 8192 });
  await wal.commit('one');
  const interrupt = new AbortController();
  const steps = [
    async () => {
      for (let event = 0; event < 50; event++) wal.append('.'.repeat(300));
      await wal.sync();
    },
    () => wal.truncateAfter(10),
    async () => interrupt.abort(),
  ];
  let lines = 0;
  let busy = Promise.resolve<unknown>(undefined);
  const { code, out } = await cli(['stats', log, '--watch', '--interval', '0.05', '--json'], {
    signal: interrupt.signal,
    onOutput: (text) => {
      const last = JSON.parse(text.trimEnd().split('\n').at(-1) as string).lastLsn;
      // Each step is taken once, when the one before it is seen.
      if (last === [1, 51, 10][lines]) busy = Promise.all([busy, steps[lines++]?.()]);
    },
  });
  await busy;
  await wal.shutdown();
  expect(code).toBe(130);
  const samples = jsonLines({ code, out, err: '' });
  const seen = samples.map(({ lastLsn }) => lastLsn).filter((lsn) => [1, 51, 10].includes(lsn));
  expect([...new Set(seen)]).toEqual([1, 51, 10]);
  expect(samples.find(({ lastLsn }) => lastLsn === 51).recordsPerSecond).not.toBeNull();
  expect(samples.find(({ lastLsn }) => lastLsn === 10).recordsPerSecond).toBeNull();
});

test('stats needs no keys, shows each core, and ends after --count', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  await makeEncryptedLog(at('log'), at('keys.json'));
  const counted = await cli(['stats', at('log'), '--watch', '--count', '2', '--interval', '0.01', '--json']);
  expect(jsonLines(counted).map(({ lastLsn }) => lastLsn)).toEqual([60, 60]);
  await makeCores(at('cores'));
  expect(jsonLines(await cli(['stats', at('cores'), '--json'])).map(({ core }) => core)).toEqual([0, 1]);
  expect((await cli(['stats', at('nothing')])).code).toBe(4);
  expect((await cli(['stats', directory])).code).toBe(4);
  expect((await cli(['stats', at('log'), '--interval', '0'])).code).toBe(2);
});
