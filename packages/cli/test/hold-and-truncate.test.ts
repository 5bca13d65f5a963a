import { join } from 'node:path';
import { SegmentedWal } from '@walstack/segmented';
import { Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { cli, json, jsonLines } from './support/cli.js';
import { contentOf, makeCores, makeLog } from './support/logs.js';

test('hold sets, lists, moves and releases', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  expect((await cli(['hold', 'list', log])).out).toContain('no holds');
  await cli(['hold', 'set', log, 'replica', '20']);
  expect((await cli(['hold', 'set', log, 'replica', '25'])).out).toContain('from LSN 25 on; it was at 20');
  expect(json(await cli(['hold', 'list', log, '--json']))).toMatchObject({ lastLsn: 60, holds: { replica: 25 } });
  expect((await cli(['hold', 'list', log])).out).toMatch(/replica +25 +36/);
  expect((await cli(['hold', 'set', log, 'ahead', '62'])).code).toBe(2);
  expect((await cli(['hold', 'release', log, 'other'])).err).toContain('it has replica');
  expect(json(await cli(['hold', 'release', log, 'replica', '--json']))).toMatchObject({ name: 'replica', before: 25 });
  expect(json(await cli(['hold', 'list', log, '--json'])).holds).toEqual({});
});

test('hold lists beside a writer and for each core, and sets in neither', async () => {
  const directory = temporaryDirectory();
  const [log, cores] = [join(directory, 'log'), join(directory, 'cores')];
  const wal = await SegmentedWal.open({ directory: log });
  wal.append('one');
  await wal.hold('replica', 1);
  expect(json(await cli(['hold', 'list', log, '--json'])).holds).toEqual({ replica: 1 });
  expect((await cli(['hold', 'set', log, 'x', '1'])).code).toBe(5);
  await wal.close();
  await makeCores(cores);
  expect(jsonLines(await cli(['hold', 'list', cores, '--json']))).toHaveLength(2);
  expect((await cli(['hold', 'set', cores, 'x', '1'])).code).toBe(2);
});

test('truncate shows what would go, changes nothing, and with --apply removes exactly that', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  const before = contentOf(log);
  for (const which of [
    ['--before', '45'],
    ['--after', '50'],
  ]) {
    const dry = json(await cli(['truncate', log, ...which, '--json']));
    expect(dry.applied).toBe(false);
    expect((await cli(['truncate', log, ...which])).out).toContain('would be removed');
    if (which[0] === '--before') expect(contentOf(log)).toEqual(before);
    const done = json(await cli(['truncate', log, ...which, '--apply', '--json']));
    expect(done).toEqual({ ...dry, applied: true });
    const { report } = json(await cli(['verify', log, '--json']));
    expect([report.firstLsn, report.lastLsn]).toEqual([dry.after.firstLsn, dry.after.lastLsn]);
  }
  expect((await cli(['cat', log, '--from', '50', '--format', 'utf8'])).out).toMatch(/^event 50 \.+\n$/);
});

test('truncate names the holds and the followers that keep something', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  const wal = await Wal.open(log, { segmentBytes: 8192 });
  await wal.hold('replica', 5);
  const follower = wal.follow('first', { name: 'copier' });
  await follower.next();
  await follower.return?.();
  await wal.shutdown();
  const { out, code } = await cli(['truncate', log, '--before', '45']);
  expect(code).toBe(0);
  expect(out).toContain('nothing would be removed');
  expect(out).toContain('the hold replica keeps everything from LSN 5 on');
  expect(out).toContain('the follower copier keeps everything from LSN ');
  expect(out).not.toContain('--apply');
});

test('a log that was emptied shows its next LSN', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  expect((await cli(['truncate', log, '--before', '61', '--apply'])).out).toContain(
    'no record, and goes on with LSN 61',
  );
  for (const command of [['verify'], ['inspect'], ['explain'], ['hold', 'list']]) {
    expect((await cli([...command, log])).out).toContain('LSN 61 is next');
  }
  expect((await cli(['append', log], { input: 'one' })).out).toBe('61\n');
});

test('truncate refuses an open log, wrong arguments, and LSNs that are not there', async () => {
  const directory = temporaryDirectory();
  const [log, cores] = [join(directory, 'log'), join(directory, 'cores')];
  await makeLog(log);
  await makeCores(cores);
  expect((await cli(['truncate', log])).code).toBe(2);
  expect((await cli(['truncate', log, '--before', '2', '--after', '3'])).code).toBe(2);
  expect((await cli(['truncate', log, '--before', '62'])).code).toBe(2);
  expect((await cli(['truncate', log, '--after', '61'])).code).toBe(2);
  expect((await cli(['truncate', cores, '--before', '2'])).code).toBe(2);
  const wal = await SegmentedWal.open({ directory: log });
  expect((await cli(['truncate', log, '--before', '2'])).code).toBe(5);
  await wal.close();
});

test('a hold is none that an object has by its prototype, and its name reaches the terminal without what that obeys', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  for (const name of ['toString', '__proto__', 'constructor']) {
    const released = await cli(['hold', 'release', log, name]);
    expect(released).toMatchObject({ code: 2, out: '' });
    expect(released.err).toContain('has no hold');
  }
  const name = 'a\x1b[31mb\x9bc';
  const set = await cli(['hold', 'set', log, name, '5']);
  expect(set.code).toBe(0);
  const listed = await cli(['hold', 'list', log]);
  const inJson = await cli(['hold', 'list', log, '--json']);
  const inspected = await cli(['inspect', log]);
  const truncated = await cli(['truncate', log, '--before', '20']);
  for (const { out, err } of [set, listed, inJson, inspected, truncated]) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
    expect(out + err).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  }
  expect(json(inJson).holds).toEqual({ [name]: 5 });
});
