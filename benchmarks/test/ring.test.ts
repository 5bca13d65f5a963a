import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inBursts } from '../src/benches/append/bursts.js';
import { commitFor } from '../src/benches/durable/committers.js';
import { readBack } from '../src/payloads/read-back.js';
import { NumberedRecord, RECORD_BYTES, RecordCheck } from '../src/payloads/records.js';
import { ringLoopMissing, ringMissing } from '../src/ring/missing.js';
import { forEachPrepared } from '../src/ring/prepared-files.js';
import { ringAppend } from '../src/ring/ring-append.js';
import { RingLoop } from '../src/ring/ring-loop.js';
import { temporaryFolder } from './support.js';

const folder = temporaryFolder();

const record = new NumberedRecord(RECORD_BYTES);

describe.skipIf(ringLoopMissing(tmpdir()) !== undefined)('ring-loop', () => {
  /** Checks that a directory has the records 1 to `count`, with their LSNs, and nothing else. */
  function checkLog(path: string, count: number): void {
    const check = new RecordCheck();
    forEachPrepared(path, (payload, lsn) => {
      check.next(payload, RECORD_BYTES);
      expect(lsn).toBe(check.count);
    });
    check.end(count);
  }

  test.each([1, 8, 64, 512])('keeps what %i committers committed', async (committers) => {
    const path = join(folder(), 'log');
    const log = new RingLoop(path, committers);
    const { commits } = await commitFor(log, committers, 20);
    log.close();
    checkLog(path, commits);
  });

  test('commits resolve with their LSNs, in order, and the log goes on in further files', async () => {
    const path = join(folder(), 'log');
    const log = new RingLoop(path, 512);
    const lsns: number[] = [];
    // More than the first file holds.
    const count = 80 * 512;
    for (let number = 1; number <= count; ) {
      const group = Array.from({ length: 512 }, () =>
        log.commit(record.numbered(number++)).then((lsn) => lsns.push(lsn)),
      );
      await Promise.all(group);
    }
    log.close();
    expect(lsns).toEqual(Array.from({ length: count }, (_, index) => index + 1));
    // One that is full, one that is written to, one that is being prepared.
    expect(readdirSync(path)).toHaveLength(3);
    checkLog(path, count);
  });

  test('what is damaged is missing when it is read back', async () => {
    const path = join(folder(), 'log');
    const log = new RingLoop(path, 1);
    for (let number = 1; number <= 3; number++) await log.commit(record.numbered(number));
    log.close();
    const file = join(path, '000000');
    const bytes = readFileSync(file);
    // In the payload of the second record, which has a block of its own.
    bytes[4096 + 100] = 0;
    writeFileSync(file, bytes);
    expect(() => checkLog(path, 3)).toThrow('3 records were written, 1 are there');
  });

  test('more commits at a time than were announced are refused', async () => {
    const log = new RingLoop(join(folder(), 'log'), 1);
    const commits = Array.from({ length: 40 }, async () => log.commit(record.numbered(1)));
    const results = await Promise.allSettled(commits);
    expect(results.at(-1)).toMatchObject({ status: 'rejected', reason: { message: /more commits wait/ } });
    log.close();
  });
});

test.skipIf(ringMissing() !== undefined).each([0, 1, 7000, 50_000])(
  'ring-append keeps %i records that were appended',
  async (count) => {
    const path = join(folder(), 'log');
    const log = await ringAppend.appending(path, count * RECORD_BYTES);
    await inBursts(
      1,
      count,
      RECORD_BYTES,
      (from, to) => log.take(record, from, to),
      () => log.ready(),
    );
    await log.flush();
    await log.close();
    await readBack(ringAppend, path, count, RECORD_BYTES);
  },
);
