import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inBursts } from '../src/benches/append/bursts.js';
import { readBack } from '../src/payloads/read-back.js';
import { NumberedRecord } from '../src/payloads/records.js';
import { TurnGroup } from '../src/subjects/turn-group.js';
import { subjects, temporaryFolder } from './support.js';

const folder = temporaryFolder();

describe.each(subjects.map((subject) => [subject.name, subject] as const))('%s', (_name, subject) => {
  test.each([
    [2500, 16],
    [2500, 100],
    [300, 70_000],
  ])('keeps what was appended: %i records of %i bytes', async (count, bytes) => {
    const path = join(folder(), 'log');
    const log = await subject.appending(path, count * bytes);
    const record = new NumberedRecord(bytes);
    await inBursts(
      1,
      count,
      bytes,
      (from, to) => log.take(record, from, to),
      () => log.ready(),
    );
    await log.flush();
    await log.close();
    await readBack(subject, path, count, bytes);
  });

  test('keeps what was committed by many at a time, whatever becomes of their memory', async () => {
    const path = join(folder(), 'log');
    const log = await subject.committing(path);
    let number = 0;
    for (const atATime of [1, 2, 200, 1, 77]) {
      const record = new NumberedRecord(100);
      await Promise.all(Array.from({ length: atATime }, () => log.commit(record.numbered(++number))));
    }
    await log.close();
    await readBack(subject, path, number, 100);
  });
});

const blocking = subjects.flatMap((subject) =>
  subject.blocking === undefined ? [] : [[subject.name, subject, subject.blocking] as const],
);

test.each(blocking)('%s keeps what was committed in a blocked thread', async (_name, subject, open) => {
  const path = join(folder(), 'log');
  const log = open(path);
  const record = new NumberedRecord(100);
  for (let number = 1; number <= 20; number++) log.commit(record.numbered(number));
  log.commitBatch(record, 21, 21);
  log.commitBatch(record, 22, 100);
  log.commitBatch(record, 101, 110);
  await log.close();
  await readBack(subject, path, 110, 100);
});

test.each(subjects.map((subject) => [subject.name, subject] as const))(
  '%s hands out copies',
  async (_name, subject) => {
    const path = join(folder(), 'log');
    const log = await subject.committing(path);
    const record = new NumberedRecord(100);
    for (let number = 1; number <= 3; number++) await log.commit(record.numbered(number));
    await log.close();
    const reading = await subject.reading(path, 100, 'copies');
    const payloads: Uint8Array[] = [];
    await reading.forEach((payload) => void payloads.push(payload));
    await reading.close();
    expect(payloads.map((payload) => payload[0])).toEqual([1, 2, 3]);
  },
);

describe('a group of a turn', () => {
  test('what comes while it is under way shares the next one', async () => {
    const groups: string[] = [];
    const group = new TurnGroup(async (records) => {
      groups.push(records.map(({ number, payload }) => `${number}${payload}`).join());
      await new Promise((resolve) => setImmediate(resolve));
    });
    const lent = Buffer.from('a');
    const first = [group.commit(lent), group.commit(Buffer.from('b'))];
    lent.write('x');
    await new Promise((resolve) => setImmediate(resolve));
    const second = [group.commit(Buffer.from('c')), group.commit(Buffer.from('d'))];
    await Promise.all(first);
    await Promise.all(second);
    await group.commit(Buffer.from('e'));
    expect(groups).toEqual(['1a,2b', '3c,4d', '5e']);
  });

  test('a group that fails fails for all of it, and the next one is written', async () => {
    let fails = true;
    const group = new TurnGroup(() => {
      if (fails) throw new Error('no room');
    });
    const results = await Promise.allSettled([group.commit(Buffer.from('a')), group.commit(Buffer.from('b'))]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    fails = false;
    await group.commit(Buffer.from('c'));
  });
});
