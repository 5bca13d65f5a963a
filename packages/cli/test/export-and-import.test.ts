import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { PortableWalWriter } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { cli, json, jsonLines } from './support/cli.js';
import { flipByte, makeCores, makeLog } from './support/logs.js';

test('export writes a new file, chooses records, and leaves no file behind where it fails', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  await makeLog(at('log'));
  const done = await cli(['export', at('log'), '--from', '10', '--to', '20', '--type', '1', '-o', at('some')]);
  expect(done.out).toContain('4 records exported');
  const lines = readFileSync(at('some'), 'utf8').trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line).lsn)).toEqual([10, 13, 16, 19]);
  expect((await cli(['export', at('log'), '-o', at('some')])).code).toBe(2);
  expect(readFileSync(at('some'), 'utf8').trimEnd().split('\n')).toEqual(lines);
  flipByte(at('log'), 1, 'event 3');
  expect((await cli(['export', at('log'), '-o', at('all')])).code).toBe(3);
  expect(existsSync(at('all'))).toBe(false);
  expect((await cli(['export', at('log'), '--to', '5', '-o', at('none')], { signal: AbortSignal.abort() })).code).toBe(
    130,
  );
  expect(readdirSync(directory).sort()).toEqual(['log', 'some']);
  await makeCores(at('cores'));
  expect(jsonLines(await cli(['export', at('cores')])).length).toBeGreaterThan(0);
});

test('import says where to go on after a line that is no record, and goes on there', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  await makeLog(at('log'));
  const lines = (await cli(['export', at('log')])).out.trimEnd().split('\n');
  const damaged = [...lines.slice(0, 20), 'nothing', ...lines.slice(20)].join('\n');
  writeFileSync(at('lines'), damaged);
  const first = await cli(['import', at('copy'), at('lines'), '--create']);
  expect(first.code).toBe(1);
  expect(first.err).toContain('go on with --skip-lines 20');
  expect(first.err).toContain('line 21: ');
  const rest = json(await cli(['import', at('copy'), at('lines'), '--skip-lines', '21', '--json']));
  expect(rest).toMatchObject({ records: 40, lines: 61, firstLsn: 21, lastLsn: 60 });
  const read = async (log: string) => (await cli(['cat', log, '--format', 'utf8'])).out;
  expect(await read(at('copy'))).toBe(await read(at('log')));
});

test('import with --keep-lsns goes on where the log ends, and refuses a gap', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  await makeLog(at('log'));
  const all = (await cli(['export', at('log')])).out;
  const keep = ['import', at('copy'), '--keep-lsns'];
  await cli([...keep, '--create', '--to', '25'], { input: all });
  const gap = await cli([...keep, '--from', '30'], { input: all });
  expect(gap.code).toBe(1);
  expect(gap.err).toContain('has LSN 30, and the next one of the log is 26');
  expect((await cli(keep, { input: all })).out).toContain(
    '35 records imported, as LSN 26 to 60; 25 records were there already',
  );
  expect((await cli(['import', at('copy'), '--type', '1'], { input: all })).out).toContain('20 records imported');
});

test('an import that is interrupted has what it says', async () => {
  const directory = temporaryDirectory();
  const log = join(directory, 'log');
  const interrupt = new AbortController();
  const stdin = new PassThrough();
  stdin.write('{"payload":"one"}\n{"payload":"two"}\n{"pay');
  setImmediate(() => interrupt.abort());
  const { code, out, err } = await cli(['import', log, '--create', '--json'], {
    input: stdin,
    signal: interrupt.signal,
  });
  expect(code).toBe(130);
  const { records, lines } = JSON.parse(out);
  expect(lines).toBe(records);
  expect(err).toContain(`go on with --skip-lines ${lines}`);
  const kept = records === 0 ? 0 : json(await cli(['verify', log, '--json'])).report.records;
  expect(kept).toBe(records);
});

test('import refuses lines that are no records', async () => {
  const log = join(temporaryDirectory(), 'log');
  await cli(['append', log, '--create'], { input: 'one' });
  for (const line of [
    '[]',
    '{}',
    '{"payload":1}',
    '{"payload":"x","payloadBase64":""}',
    '{"payloadBase64":"A"}',
    '{"payload":"\\ud800"}',
    '{"payload":"x","typ":1}',
    '{"payload":"x","type":-1}',
    '{"payload":"x","scope":{"tenantId":1}}',
    '{"payload":"x","lsn":0}',
  ]) {
    const refused = await cli(['import', log], { input: `${line}\n` });
    expect([line, refused.code, refused.err.includes('line 1: ')]).toEqual([line, 1, true]);
  }
  expect((await cli(['import', log, '--keep-lsns'], { input: '{"payload":"x"}' })).err).toContain('has no lsn');
  expect(json(await cli(['verify', log, '--json'])).report.records).toBe(1);
});

test('frames are exported and imported', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  for (const name of ['one', 'two']) {
    const writer = await PortableWalWriter.open(at(name), { framed: true });
    if (name === 'one') for (const byte of [0, 255]) await writer.appendWithChecksum(new Uint8Array([byte]));
    await writer.close();
  }
  const { out } = await cli(['export', at('one')]);
  expect(await cli(['import', at('two')], { input: out })).toMatchObject({
    code: 0,
    out: '2 records imported, at position 0 to 9\n',
  });
  expect((await cli(['export', at('two')])).out).toBe(out);
  expect((await cli(['import', at('two')], { input: '{"payload":"x","type":1}' })).code).toBe(1);
  expect(json(await cli(['import', at('two'), '--json'], { input: '{"payload":"x"}' }))).toEqual({
    records: 1,
    leftOut: 0,
    lost: 0,
    lines: 1,
    firstPosition: 18,
    lastPosition: 18,
  });
});

test('import refuses a field of a scope that would be lost', async () => {
  const log = join(temporaryDirectory(), 'log');
  const scope = { tenantId: '1', databaseId: '2', vshardId: 3, region: 4 };
  const input = JSON.stringify({ payload: 'x', scope });
  const { code, err } = await cli(['import', log, '--create'], { input });
  expect([code, err]).toEqual([1, 'error: line 1: it has the field "region", which no scope has\n']);
});

test('import with --keep-lsns leaves out only what the log has as it is in the line', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  await makeLog(at('log'));
  const all = (await cli(['export', at('log')])).out;
  const lines = all.trimEnd().split('\n');
  const keep = (log: string) => ['import', at(log), '--keep-lsns'];
  await cli([...keep('copy'), '--create', '--to', '25'], { input: all });
  const change = (line: string, more: object) => JSON.stringify({ ...JSON.parse(line), ...more });
  const scope = { tenantId: '1', databaseId: '2', vshardId: 3 };
  for (const more of [{ payload: 'x' }, { type: 9 }, { metaBase64: 'AA==' }, { scope }]) {
    const other = lines.map((line, index) => (index === 19 ? change(line, more) : line)).join('\n');
    const refused = await cli(keep('copy'), { input: other });
    expect([refused.code, refused.err.includes('line 20 has LSN 20, and the log has another record there')]).toEqual([
      1,
      true,
    ]);
    expect(json(await cli(['verify', at('copy'), '--json'])).report.lastLsn).toBe(25);
  }
  // In any order, and from any line on.
  const again = [...lines.slice(10, 20), ...lines.slice(0, 10), ...lines.slice(20)].join('\n');
  expect(json(await cli([...keep('copy'), '--json'], { input: again }))).toMatchObject({
    records: 35,
    leftOut: 25,
    lost: 0,
  });
  // What a salvage has lost is no record that is there, and what was truncated is no longer wanted.
  flipByte(at('copy'), 0, 'event 30');
  await cli(['repair', at('copy'), '--mode', 'skip-corrupt', '--apply']);
  const salvaged = await cli([...keep('copy'), '--json'], { input: all });
  expect([salvaged.code, json(salvaged).records, json(salvaged).leftOut, json(salvaged).lost]).toEqual([0, 0, 59, 1]);
  expect(salvaged.err).toContain('lost in the log by a salvage, and not put back: 1 record');
});

test('import with --keep-lsns compares a line with what the same import has appended, and each line of a lost range', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  await makeLog(at('log'));
  const lines = (await cli(['export', at('log')])).out.trimEnd().split('\n');
  const importInto = (log: string, input: readonly string[]) =>
    cli(['import', at(log), '--create', '--keep-lsns', '--json'], { input: input.join('\n') });
  const overlapping = [...lines.slice(0, 40), ...lines.slice(30)];
  const all = await importInto('copy', overlapping);
  expect([all.code, json(all)]).toMatchObject([0, { records: 60, leftOut: 10, lost: 0 }]);
  expect((await cli(['export', at('copy')])).out.replaceAll(/"time":"[^"]*"/g, '')).toBe(
    `${lines.join('\n')}\n`.replaceAll(/"time":"[^"]*"/g, ''),
  );

  const other = JSON.stringify({ ...JSON.parse(lines[30] as string), payload: 'other' });
  const refused = await importInto('other', [...lines.slice(0, 31), other]);
  expect(refused.code).toBe(1);
  expect(refused.err).toContain('line 32 has LSN 31, and the log has another record there');

  for (const event of ['event 30', 'event 31', 'event 32']) flipByte(at('copy'), 0, event);
  await cli(['repair', at('copy'), '--mode', 'skip-corrupt', '--apply']);
  const salvaged = await importInto('copy', overlapping);
  const { lost, leftOut } = json(salvaged);
  const { holes } = json(await cli(['inspect', at('copy'), '--json']));
  const missing = (holes as { firstLsn: number; lastLsn: number }[]).flatMap(({ firstLsn, lastLsn }) =>
    Array.from({ length: lastLsn + 1 - firstLsn }, (_, index) => firstLsn + index),
  );
  expect(missing.length).toBeGreaterThanOrEqual(3);
  expect([lost, leftOut]).toEqual([
    overlapping.filter((line) => missing.includes(JSON.parse(line).lsn)).length,
    overlapping.filter((line) => !missing.includes(JSON.parse(line).lsn)).length,
  ]);
});

test('records over the usual limit come back with --max-payload-bytes', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  const input = `${'x'.repeat(65 * 1024 * 1024)}\n`;
  const refused = await cli(['append', at('log'), '--create'], { input });
  expect([refused.code, refused.err.includes('WAL_TOO_LARGE')]).toEqual([1, true]);
  const more = ['--max-payload-bytes', String(80 * 1024 * 1024)];
  expect((await cli(['append', at('log'), ...more], { input })).out).toBe('1\n');
  const { out } = await cli(['export', at('log')]);
  expect((await cli(['import', at('copy'), '--create'], { input: out })).code).toBe(1);
  expect((await cli(['import', at('copy'), '--create', ...more], { input: out })).code).toBe(0);
  expect((await cli(['cat', at('copy'), '--format', 'utf8'])).out === input).toBe(true);
  await makeCores(at('cores'));
  expect((await cli(['verify', at('cores'), ...more])).code).toBe(0);
  expect((await cli(['append', at('log'), '--max-payload-bytes', '2000000000'])).code).toBe(2);
});
