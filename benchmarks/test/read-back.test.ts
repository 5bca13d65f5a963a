import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readBack } from '../src/payloads/read-back.js';
import { NumberedRecord, RecordCheck } from '../src/payloads/records.js';
import type { Subject } from '../src/subjects/subject.js';
import { subjects, temporaryFolder } from './support.js';

const folder = temporaryFolder();

const BYTES = 20;

const WRONG: readonly (readonly [string, readonly number[]])[] = [
  ['one is missing at the end', [1, 2]],
  ['one is missing in between', [1, 3]],
  ['there is one too many', [1, 2, 3, 4]],
  ['one is there twice', [1, 2, 2]],
  ['two have changed places', [2, 1, 3]],
  ['there are none', []],
];

/** Keeps records with these numbers in them, as many bytes of each as `lengths` says. */
async function kept(subject: Subject, numbers: readonly number[], cut = 0): Promise<string> {
  const path = join(folder(), 'log');
  const log = await subject.committing(path);
  for (const [index, number] of numbers.entries()) {
    const bytes = new NumberedRecord(BYTES).numbered(number);
    await log.commit(index === numbers.length - 1 ? bytes.subarray(0, BYTES - cut) : bytes);
  }
  await log.close();
  return path;
}

describe.each(subjects.map((subject) => [subject.name, subject] as const))('%s', (_name, subject) => {
  test('records that are all there pass', async () => {
    await readBack(subject, await kept(subject, [1, 2, 3]), 3, BYTES);
  });

  test.each(WRONG)('is refused when %s', async (_what, numbers) => {
    await expect(readBack(subject, await kept(subject, numbers), 3, BYTES)).rejects.toThrow(/record/);
  });

  test('a record that was cut is refused', async () => {
    const path = await kept(subject, [1, 2], 5);
    await expect(readBack(subject, path, 2, BYTES)).rejects.toThrow('record 2');
  });
});

test('a number that is not the one a record is kept under is refused', async () => {
  const [subject] = subjects;
  const displaced = {
    ...subject,
    reading: async () => ({
      forEach: async (f: (payload: Uint8Array, number: number) => void) => f(new NumberedRecord(BYTES).numbered(1), 2),
      close: async () => {},
    }),
  } as Subject;
  await expect(readBack(displaced, '', 1, BYTES)).rejects.toThrow('kept under the number 2');
});

test.each([1, 255, 256, 65_536, 0xff_ffff, 0xffff_ffff])('a record holds its number: %i', (number) => {
  const check = new RecordCheck(number);
  check.next(new NumberedRecord(16).numbered(number), 16);
  expect(() => check.next(new NumberedRecord(16).numbered(number), 16)).toThrow('record');
});
