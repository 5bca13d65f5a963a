import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Wal } from '@walstack/wal';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkFile, checkLog } from '../src/read-back.js';
import { NumberedRecord } from '../src/records.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walstack-benchmarks-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

const BYTES = 20;
const records = (...numbers: readonly number[]): Uint8Array[] =>
  numbers.map((number) => new NumberedRecord(BYTES).numbered(number));

const WRONG: readonly (readonly [string, readonly number[]])[] = [
  ['one is missing at the end', [1, 2]],
  ['one is missing in between', [1, 3]],
  ['there is one too many', [1, 2, 3, 4]],
  ['one is there twice', [1, 2, 2]],
  ['two have changed places', [2, 1, 3]],
  ['there are none', []],
];

const path = (): string => join(folder, 'records');

const logOf = async (payloads: readonly Uint8Array[]): Promise<string> => {
  await using wal = await Wal.open(path());
  for (const payload of payloads) wal.append(payload);
  return path();
};

const fileOf = (payloads: readonly Uint8Array[]): string => {
  writeFileSync(path(), Buffer.concat(payloads));
  return path();
};

test('records that are all there pass', async () => {
  checkFile(fileOf(records(1, 2, 3)), 3, BYTES);
  rmSync(path());
  await checkLog(await logOf(records(1, 2, 3)), 3, BYTES);
});

test.each(WRONG)('a file is refused when %s', (_what, numbers) => {
  expect(() => checkFile(fileOf(records(...numbers)), 3, BYTES)).toThrow(/record/);
});

test.each(WRONG)('a log is refused when %s', async (_what, numbers) => {
  await expect(checkLog(await logOf(records(...numbers)), 3, BYTES)).rejects.toThrow(/record/);
});

test('a record that was cut is refused', async () => {
  const [first, second] = records(1, 2) as [Uint8Array, Uint8Array];
  expect(() => checkFile(fileOf([first, second.subarray(0, 15)]), 2, BYTES)).toThrow('record 2');
  rmSync(path());
  await expect(checkLog(await logOf([first, second.subarray(0, 15)]), 2, BYTES)).rejects.toThrow('record 2');
});
