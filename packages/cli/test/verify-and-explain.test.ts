import { spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FileName, KeyRing } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { openStorageIo, PortableWalWriter } from '@walstack/storage-io';
import { expect, test, vi } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { cli, json, jsonLines } from './support/cli.js';
import { contentOf, flipByte, makeCores, makeEncryptedLog, makeLog, segmentsOf } from './support/logs.js';

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));

test('verify finds a sound log sound, whole, encrypted without its key, and of cores', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  await makeLog(at('plain'));
  await makeEncryptedLog(at('encrypted'), at('keys.json'));
  await makeCores(at('cores'));
  const plain = json(await cli(['verify', at('plain'), '--json']));
  expect(plain).toMatchObject({ ok: true, report: { records: 60, reason: 'clean' } });
  expect(plain.bytes).toBeGreaterThanOrEqual(60 * 300);
  expect((await cli(['verify', at('encrypted'), '--decode', '--key-file', at('keys.json')])).code).toBe(0);
  expect((await cli(['verify', at('encrypted'), '--decode'])).code).toBe(6);
  const cores = jsonLines(await cli(['verify', at('cores'), '--json']));
  expect(cores.map(({ path, ok }) => [path, ok])).toEqual([
    [at('cores/core-0'), true],
    [at('cores/core-1'), true],
    [at('cores'), true],
  ]);
  // What belongs to all cores together.
  rmSync(at('cores/core-1'), { recursive: true });
  const lacking = await cli(['verify', at('cores')]);
  expect(lacking.code).toBe(3);
  expect(lacking.out).toContain('names core 1, whose log is missing');
});

test('verify and explain work beside a writer, and take no lock', async () => {
  const log = join(temporaryDirectory(), 'log');
  const wal = await SegmentedWal.open({ directory: log });
  wal.append('one');
  await wal.sync();
  expect((await cli(['verify', log])).out).toContain('1 record, LSN 1 to 1');
  expect((await cli(['explain', log])).code).toBe(0);
  wal.append('two');
  await wal.close();
});

test('explain shows what opening would cut of a torn tail, and that nothing proves it', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  const newest = segmentsOf(log).at(-1) as string;
  const { end } = json(await cli(['inspect', log, '--segment', String(segmentsOf(log).length), '--json']));
  truncateSync(newest, end);
  appendFileSync(newest, Buffer.alloc(200, 7));
  const before = contentOf(log);
  const { code, out } = await cli(['explain', log]);
  expect(code).toBe(0);
  expect(out).toContain('would be cut');
  expect(out).toContain('no frame behind it proves that anything from there on was durable');
  expect(json(await cli(['explain', log, '--json'])).report).toMatchObject({ reason: 'torn-tail', lastLsn: 60 });
  expect(contentOf(log)).toEqual(before);
});

test('explain shows the frames around a damaged record, the proof, and what each mode keeps, and changes nothing', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  flipByte(log, 0, 'event 7 ');
  const before = contentOf(log);
  const { code, out } = await cli(['explain', log]);
  expect(code).toBe(3);
  expect(out).toContain('WAL_CORRUPT, reason hole-before-successor');
  expect(out).toContain('record LSN 6, ');
  expect(out).toContain('LSN 7 would be next');
  const { modes, place } = json(await cli(['explain', log, '--json']));
  expect(place.proof.provenLsn).toBeGreaterThanOrEqual(7);
  expect(modes.map(({ mode, opens }: { mode: string; opens: boolean }) => [mode, opens])).toEqual([
    ['strict', false],
    ['salvage', true],
    ['skip-corrupt', true],
  ]);
  expect(modes[1].report).toMatchObject({ records: 6, lastLsn: 6 });
  expect(modes[2].report.holes).toMatchObject([{ firstLsn: 7 }]);
  expect(contentOf(log)).toEqual(before);
  // What was foretold is what the modes do.
  const salvaged = await SegmentedWal.recover({ directory: log, recoveryMode: 'skip-corrupt' });
  expect(salvaged.holes).toEqual(modes[2].report.holes);
  expect(salvaged.records).toBe(modes[2].report.records);
});

test('verify and explain refuse a file of frames with damage', async () => {
  const file = join(temporaryDirectory(), 'frames');
  const writer = await PortableWalWriter.open(file, { framed: true, maxUnsyncedBytes: 8192 });
  for (let frame = 0; frame < 50; frame++) await writer.appendWithChecksum(Buffer.alloc(500, frame));
  await writer.sync();
  await writer.close();
  expect((await cli(['verify', file])).out).toMatch(/50 frames\n$/);
  expect((await cli(['explain', file])).code).toBe(0);
  const bytes = readFileSync(file);
  bytes[1000] = (bytes[1000] as number) ^ 1;
  // Damage that no torn write leaves: more than the writer leaves unsynced is behind it.
  writeFileSync(file, bytes);
  const tight = json(await cli(['explain', file, '--json', '--max-unsynced-bytes', '8192']));
  expect(tight).toMatchObject({ opens: false, error: { code: 'WAL_CORRUPT' } });
  expect((await cli(['verify', file, '--max-unsynced-bytes', '8192'])).code).toBe(3);
  // With more left unsynced it may be a torn tail. That all of it was acknowledged, or none of it, is not known.
  const frames = 1;
  const behind = bytes.length - (8 + 500);
  expect(json(await cli(['verify', file, '--json']))).toMatchObject({ ok: true, frames, bytesBehind: behind });
  const unknown = 'a torn tail, what another process is writing, or damage in what was durable';
  for (const [command, text] of [
    ['verify', `${behind.toLocaleString('en-US')} bytes behind them cannot be read: ${unknown}`],
    ['explain', `keeps 1 frame; cuts ${behind.toLocaleString('en-US')} bytes: ${unknown}`],
    ['repair', `keeps 1 frame; cuts ${behind.toLocaleString('en-US')} bytes: ${unknown}`],
  ] as const) {
    const { code, out } = await cli([command, file]);
    expect([command, code, out.includes(text), out.includes('acknowledged')]).toEqual([command, 0, true, false]);
  }
  expect(readFileSync(file).equals(bytes)).toBe(true);
});

test('what is behind the last record is a torn tail, or what another process is writing while it has the log open', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  appendFileSync(segmentsOf(log).at(-1) as string, 'a group of which not everything was written');
  const looks = async () => ({
    verify: (await cli(['verify', log])).out,
    inspect: (await cli(['inspect', log])).out,
    explain: (await cli(['explain', log])).out,
    ends: await Promise.all(
      ['verify', 'inspect', 'explain'].map(async (name) => json(await cli([name, log, '--json'])).end),
    ),
  });
  const closed = await looks();
  expect(closed.verify).toMatch(/bytes behind them are a torn tail: nothing acknowledged/);
  expect(closed.inspect).toMatch(/bytes at its end are a torn tail; opening it would cut them/);
  expect(closed.explain).toMatch(/would be cut\n {2}They are a torn tail: /);
  expect(closed.ends).toEqual(['torn-tail', 'torn-tail', 'torn-tail']);
  const io = openStorageIo('auto', { needs: 'async' });
  const release = io.lock(join(log, FileName.lock));
  const opened = await looks();
  release();
  await io.dispose();
  expect(opened.verify).toMatch(/bytes behind them are a group that another process is writing: nothing acknowledged/);
  expect(opened.inspect).toMatch(/bytes at its end are a group that another process is writing$/m);
  expect(opened.explain).toMatch(/bytes behind them are a group that another process is writing$/m);
  expect(opened.ends).toEqual(['being-written', 'being-written', 'being-written']);
  expect((await looks()).ends).toEqual(closed.ends);
});

test.skipIf(process.platform === 'win32')(
  'more segments than a process may open are explained and repaired',
  async () => {
    const log = join(temporaryDirectory(), 'log');
    await makeLog(log, { segmentBytes: 2048 }, 600);
    expect(segmentsOf(log).length).toBeGreaterThan(100);
    flipByte(log, 50, 'event');
    const few = (...argv: string[]) =>
      spawnSync('sh', ['-c', 'ulimit -n 90; exec "$0" "$@"', process.execPath, MAIN, ...argv], { encoding: 'utf8' });
    const { stdout } = few('explain', log);
    expect(stdout).toContain('salvage       keeps');
    expect(stdout).toContain('skip-corrupt  keeps 599 records');
    expect(few('repair', log, '--mode', 'skip-corrupt').stdout).toContain('keeps 599 records');
  },
);

test('verify --decode of a log whose writer removes its beginning meanwhile finds it sound', async () => {
  const directory = temporaryDirectory();
  const [log, keyFile] = [join(directory, 'log'), join(directory, 'keys.json')];
  await makeEncryptedLog(log, keyFile);
  const keys = [Buffer.alloc(32), Buffer.from('ab'.repeat(32), 'hex'), Buffer.alloc(32, 2)] as const;
  const keyRing = KeyRing.of({ id: 2, key: keys[2] }, [{ id: 1, key: keys[1] }]);
  await makeLog(log, { keyRing });
  const wal = await SegmentedWal.open({ directory: log, keyRing });
  let rings = 0;
  let removals = 0;
  // The second ring is that for decoding: when it comes to the other key, the segments up to the last one are removed.
  const fromFile = vi.spyOn(KeyRing, 'fromFile').mockImplementation(async () => {
    const isDecoding = ++rings === 2;
    return KeyRing.fromCallback(2, async (id) => {
      if (isDecoding && id === 2) {
        await wal.truncateBefore(wal.lastLsn);
        removals++;
      }
      return keys[id];
    });
  });
  try {
    const outcome = await cli(['verify', log, '--decode', '--key-file', keyFile]);
    expect([removals, wal.firstLsn > 61]).toEqual([1, true]);
    expect(outcome).toMatchObject({ code: 0, err: '' });
  } finally {
    fromFile.mockRestore();
    await wal.close();
  }
});
