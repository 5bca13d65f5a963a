import { closeSync, openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { MmapWalReader } from '@walstack/mmap-reader';
import { SegmentedWal } from '@walstack/segmented';
import { afterAll, expect, test } from 'vitest';
import { removableDirectory } from '../../../harness/test-kit/temporary-directory.js';

const { directory: parent, destroy } = removableDirectory();
afterAll(destroy);

const payloadOf = (lsn: number): string => `record ${lsn}`.padEnd(100, '.');

/** Offsets in a frame: the checksum, the length, the LSN, the flags, the payload. */
const PLACES = [4, 0, 9, 26, 60];

test('800,000 records around ten flipped bytes in ten segments: every other record is there, and each hole is named', () => {
  const directory = join(parent, 'log');
  const config = { directory, segmentBytes: 10 * 1024 * 1024, io: 'sync-fs' as const };
  const wal = SegmentedWal.openSync(config);
  for (let lsn = 1; lsn <= 800_000; lsn++) {
    wal.append(payloadOf(lsn));
    if (lsn % 1000 === 0) wal.syncSync();
  }
  wal.closeSync();
  const lost: number[] = [];
  const segments = readdirSync(directory).filter((name) => name.endsWith('.seg'));
  for (const [index, name] of segments.sort().slice(0, 10).entries()) {
    const path = join(directory, name);
    const reader = MmapWalReader.open(path);
    const cursor = reader.cursor();
    for (let record = 0; record < 3000 + 4000 * index; record++) cursor.next();
    const at = cursor.offset + (PLACES[index % PLACES.length] as number);
    lost.push(cursor.lsn);
    reader.close();
    const fd = openSync(path, 'r+');
    const byte = new Uint8Array(1);
    readSync(fd, byte, 0, 1, at);
    byte[0] = (byte[0] as number) ^ 0x10;
    writeSync(fd, byte, 0, 1, at);
    closeSync(fd);
  }
  expect(lost.length).toBe(10);
  expect(() => SegmentedWal.openSync(config)).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT', lsn: lost[0] }));

  const salvaged = SegmentedWal.openSync({ ...config, recoveryMode: 'skip-corrupt' });
  const { holes, records, firstLsn, lastLsn } = salvaged.recovery;
  expect([firstLsn, lastLsn, records]).toEqual([1, 800_000, 799_990]);
  expect(holes).toEqual(lost.map((lsn) => ({ firstLsn: lsn, lastLsn: lsn, reason: 'unreadable' })));
  let next = 1;
  for (const { lsn, payload } of salvaged.replay({ onHole: 'skip' })) {
    while (lost.includes(next)) next++;
    if (lsn !== next || Buffer.from(payload).toString() !== payloadOf(lsn)) throw new Error(`${lsn} is not ${next}`);
    next++;
  }
  expect(next).toBe(800_001);
  salvaged.closeSync();
  const again = SegmentedWal.openSync(config);
  expect(again.recovery).toMatchObject({ reason: 'clean', holes, records: 799_990 });
  again.closeSync();
}, 60_000);
