import { appendFileSync, rmSync, truncateSync } from 'node:fs';
import { basename, join } from 'node:path';
import { SegmentedWal } from '@walstack/segmented';
import { PortableWalWriter } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { cli, json } from './support/cli.js';
import {
  contentOf,
  flipByte,
  makeCores,
  makeEncryptedLog,
  makeLog,
  removeSegment,
  segmentsOf,
} from './support/logs.js';

test('repair shows what each mode keeps and changes nothing; with --apply it does exactly that', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  flipByte(log, 0, 'event 7 ');
  const before = contentOf(log);
  const dry = await cli(['repair', log]);
  expect(dry.code).toBe(3);
  expect(dry.out).toContain('salvage       keeps 6 records, LSN 1 to 6; loses LSN 7 to ');
  expect(dry.out).toContain('--mode salvage|skip-corrupt --apply');
  const { modes } = json(await cli(['repair', log, '--json']));
  expect(modes.map(({ opens }: { opens: boolean }) => opens)).toEqual([false, true, true]);
  expect(contentOf(log)).toEqual(before);
  expect((await cli(['repair', log, '--apply'])).code).toBe(3);

  const done = json(await cli(['repair', log, '--mode', 'skip-corrupt', '--apply', '--json']));
  expect(done).toMatchObject({ applied: true, report: { records: modes[2].report.records, reason: 'salvaged' } });
  expect(done.report.holes).toEqual(modes[2].report.holes);
  // The damaged segment is where the report says, as it was.
  const name = basename(segmentsOf(log)[0] as string);
  expect(contentOf(done.quarantine[0])[join(done.quarantine[0], name)]).toBe(before[join(log, name)]);
  const again = await cli(['repair', log]);
  expect(again.code).toBe(0);
  expect(again.out).toContain('there is nothing to repair');
});

test('repair cuts a torn tail off, and says how much before', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  const { end } = json(await cli(['inspect', log, '--segment', String(segmentsOf(log).length), '--json']));
  const newest = segmentsOf(log).at(-1) as string;
  truncateSync(newest, end);
  appendFileSync(newest, Buffer.alloc(200, 7));
  expect((await cli(['repair', log, '--mode', 'strict'])).out).toContain(
    'cuts 200 bytes, none of which was acknowledged',
  );
  const done = await cli(['repair', log, '--apply']);
  expect(done.code).toBe(0);
  expect(done.out).toContain('keeps 60 records, LSN 1 to 60; cuts 200 bytes');
  expect(json(await cli(['verify', log, '--json'])).report.cutBytes).toBe(0);
});

test('repair refuses a log that is open for writing, with --apply and without', async () => {
  const log = join(temporaryDirectory(), 'log');
  const wal = await SegmentedWal.open({ directory: log });
  try {
    for (const more of [[], ['--apply']]) {
      const { code, err } = await cli(['repair', log, ...more]);
      expect(code).toBe(5);
      expect(err).toContain('is open for writing in another process');
    }
  } finally {
    await wal.close();
  }
});

test('repair salvages the logs of all cores together', async () => {
  const directory = join(temporaryDirectory(), 'cores');
  await makeCores(directory);
  flipByte(join(directory, 'core-0'), 0, 'value-1');
  const { code, out } = await cli(['repair', directory]);
  expect(code).toBe(3);
  expect(out).toMatch(/salvage +keeps \d+ entries .* loses LSN \d+ to \d+ of core 0/);
  expect((await cli(['repair', directory, '--mode', 'skip-corrupt'])).code).toBe(2);
  expect((await cli(['repair', directory, '--core', '0'])).code).toBe(2);
  expect((await cli(['repair', join(directory, 'core-0')])).code).toBe(2);
  const done = await cli(['repair', directory, '--mode', 'salvage', '--apply']);
  expect(done.code).toBe(0);
  expect(done.out).toContain('what was taken out of it is in ');
  expect((await cli(['verify', directory])).code).toBe(0);
});

test('repair cuts the torn end of a file of frames', async () => {
  const file = join(temporaryDirectory(), 'frames');
  const writer = await PortableWalWriter.open(file, { framed: true });
  expect((await cli(['repair', file, '--salvage-lsn', '5'])).code).toBe(2);
  for (let frame = 0; frame < 5; frame++) await writer.appendWithChecksum(`frame ${frame}`);
  await writer.close();
  // The beginning of a frame of 100 bytes.
  appendFileSync(file, Buffer.from([100, 0, 0, 0, 1, 2, 3, 4, 5]));
  expect((await cli(['repair', file])).out).toContain('keeps 5 frames; cuts 9 bytes');
  expect((await cli(['repair', file, '--mode', 'salvage'])).code).toBe(2);
  expect((await cli(['repair', file, '--apply'])).out).toContain('keeps 5 frames; cuts 9 bytes');
  expect((await cli(['repair', file])).out).toContain('there is nothing to repair');
});

test('repair needs the keys of an encrypted log, and takes the LSNs that a salvage asks for', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  await makeEncryptedLog(at('log'), at('keys.json'));
  expect((await cli(['repair', at('log')])).code).toBe(6);
  flipByteOfPayload(at('log'));
  const keyed = ['--key-file', at('keys.json')];
  expect((await cli(['repair', at('log'), ...keyed])).code).toBe(3);
  expect((await cli(['repair', at('log'), ...keyed, '--mode', 'salvage', '--apply'])).code).toBe(0);
  expect((await cli(['repair', at('log'), '--salvage-lsn', '1:2:3'])).code).toBe(2);
  expect((await cli(['repair', at('log'), '--salvage-lsn', '1:2', '--mode', 'salvage'])).code).toBe(2);
});

/** Damages a byte in the middle of the first segment. */
function flipByteOfPayload(log: string): void {
  const path = segmentsOf(log)[0] as string;
  const bytes = Buffer.from(contentOf(log)[path] as string, 'base64');
  truncateSync(path, 0);
  bytes[2000] = (bytes[2000] as number) ^ 1;
  appendFileSync(path, bytes);
}

test('repair --apply that is refused changes nothing of a per-core log, of which a log before it has a torn tail', async () => {
  const cores = join(temporaryDirectory(), 'cores');
  await makeCores(cores);
  appendFileSync(segmentsOf(join(cores, 'core-0'))[0] as string, Buffer.alloc(200, 7));
  for (const path of segmentsOf(join(cores, 'core-1'))) rmSync(path);
  const before = contentOf(cores);
  const { code, err } = await cli(['repair', cores, '--apply']);
  expect(code).toBe(3);
  expect(err).toContain('names core 1, whose log is missing');
  expect(contentOf(cores)).toEqual(before);
  expect((await cli(['repair', cores, '--mode', 'salvage', '--apply'])).code).toBe(0);
  expect((await cli(['verify', cores])).code).toBe(0);
});

test('repair shows each mode with the LSNs that are given, and a command that does what it has shown', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  removeSegment(log, 1);
  const { out } = await cli(['repair', log, '--salvage-lsn', '20']);
  expect(out).toContain('salvage       keeps 19 records, LSN 1 to 19');
  expect(out).toContain(`repair ${log} --mode salvage|skip-corrupt --salvage-lsn 20 --apply`);
  // A salvage takes one: with two it is not shown as if it took the first.
  expect((await cli(['repair', log, '--salvage-lsn', '20,30'])).out).not.toContain('salvage ');
  expect((await cli(['repair', log, '--salvage-lsn', '20,30'])).out).toContain(
    '--mode skip-corrupt --salvage-lsn 20,30',
  );
  const done = await cli(['repair', log, '--mode', 'salvage', '--salvage-lsn', '20', '--apply']);
  expect([done.code, done.out]).toEqual([0, expect.stringContaining('keeps 19 records, LSN 1 to 19')]);
});
