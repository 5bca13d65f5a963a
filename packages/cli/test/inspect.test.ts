import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PerCoreWalManager, PerCoreWalReader } from '@walstack/percore';
import { SegmentedWal } from '@walstack/segmented';
import { PortableWalWriter } from '@walstack/storage-io';
import { expect, test, vi } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { cli, json } from './support/cli.js';
import { contentOf, makeCores, makeEncryptedLog, makeLog } from './support/logs.js';

test('inspect shows segments and LSNs, as text and as JSON, and changes nothing', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  const before = contentOf(log);
  const text = await cli(['inspect', log]);
  expect(text.code).toBe(0);
  expect(text.out).toContain('60, LSN 1 to 60');
  expect(text.out).toContain('closed cleanly');
  const facts = json(await cli(['inspect', log, '--json']));
  expect(facts).toMatchObject({ firstLsn: 1, lastLsn: 60, records: 60, state: 'clean', cutBytes: 0 });
  expect(facts.segments.length).toBeGreaterThan(1);
  expect(contentOf(log)).toEqual(before);
});

test('inspect shows one record with its fields, and one segment with its frames', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  const record = await cli(['inspect', log, '--record', '42']);
  expect(record.out).toMatch(/lsn +2a00000000000000 +42/);
  expect(record.out).toMatch(/type +00000000 +0\b/);
  const parts = json(await cli(['inspect', log, '--record', '42', '--json']));
  expect(Buffer.from(parts.payload, 'hex').toString()).toMatch(/^event 42 /);
  const segment = json(await cli(['inspect', log, '--segment', '1', '--json']));
  expect(segment).toMatchObject({ number: 1, firstLsn: 1, blockBytes: 512, predecessor: null });
  expect(segment.frames[0]).toMatchObject({ offset: 512, lsn: 1, kind: 'record', type: 1 });
  expect((await cli(['inspect', log, '--record', '61'])).code).toBe(2);
  expect((await cli(['inspect', log, '--segment', '99'])).code).toBe(2);
});

test('inspect shows the payload of an encrypted record with its key, and says which key is missing', async () => {
  const directory = temporaryDirectory();
  const [log, keys] = [join(directory, 'log'), join(directory, 'keys.json')];
  await makeEncryptedLog(log, keys);
  const shown = json(await cli(['inspect', log, '--record', '3', '--json', '--key-file', keys]));
  expect(Buffer.from(shown.payload, 'hex').toString()).toMatch(/^event 3 /);
  expect(shown.flags).toContain('encrypted');
  const refused = await cli(['inspect', log, '--record', '3']);
  expect(refused.code).toBe(6);
  expect(refused.err).toContain('WAL_BAD_KEY');
});

test('inspect shows the epochs of a per-core log, and the frames of a file', async () => {
  const directory = temporaryDirectory();
  const [cores, file] = [join(directory, 'cores'), join(directory, 'frames')];
  await makeCores(cores);
  const { logs } = json(await cli(['inspect', cores, '--json']));
  expect(logs).toHaveLength(2);
  expect(logs[1]).toMatchObject({ core: 1 });
  expect(logs[1].barrierEpoch).toBeGreaterThan(0);
  expect((await cli(['inspect', cores])).out).toContain('complete in this log up to');
  const writer = await PortableWalWriter.open(file, { framed: true });
  await writer.appendWithChecksum(Buffer.from('one'));
  await writer.sync();
  await writer.close();
  expect(json(await cli(['inspect', file, '--json']))).toMatchObject({ frames: 1, dataBytes: 3 });
  writeFileSync(join(directory, 'text'), 'no log at all, only text\n'.repeat(10));
  expect((await cli(['inspect', join(directory, 'text')])).code).toBe(4);
  expect((await cli(['inspect', join(directory, 'nowhere')])).code).toBe(4);
});

test('a segment with more frames than a call has arguments is shown', async () => {
  const log = join(temporaryDirectory(), 'log');
  const records = 150_000;
  const wal = await SegmentedWal.open({ directory: log, segmentBytes: 64 * 1024 * 1024 });
  for (let lsn = 1; lsn <= records; lsn++) {
    wal.append('x');
    if (lsn % 10_000 === 0) await wal.sync();
  }
  await wal.close();
  const segments: { number: number; lastLsn: number }[] = json(await cli(['inspect', log, '--json'])).segments;
  const last = segments.at(-1)?.number;
  const { code, out } = await cli(['inspect', log, '--segment', String(last)]);
  expect(code).toBe(0);
  expect(out.split('\n').filter((line) => line.includes(' record ')).length).toBeGreaterThan(125_000);
});

test('inspect shows a per-core log of which the writer removes the beginning meanwhile', async () => {
  const directory = join(temporaryDirectory(), 'cores');
  const manager = await PerCoreWalManager.open({ directory, cores: 1, segmentBytes: 65_536, recycleSegments: 0 });
  const writer = manager.writer(0);
  const fill = async (): Promise<void> => {
    for (let entry = 0; entry < 60; entry++) {
      writer.appendPut(Buffer.from('key'), Buffer.alloc(8000));
      await writer.sync();
    }
    await manager.endEpoch();
  };
  await fill();
  const { advance } = PerCoreWalReader.prototype;
  const spy = vi.spyOn(PerCoreWalReader.prototype, 'advance').mockImplementationOnce(async function (
    this: PerCoreWalReader,
  ) {
    const isMore = await advance.call(this);
    await manager.checkpoint(async () => {});
    await fill();
    return isMore;
  });
  try {
    const { code, out } = await cli(['inspect', directory, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(out).logs[0]).toMatchObject({ core: 0, lastEpoch: 3 });
  } finally {
    spy.mockRestore();
    await manager.close();
  }
});
