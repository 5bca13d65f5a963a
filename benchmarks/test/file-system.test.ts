import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FsAppend } from '../src/subjects/fs-append.js';
import { FsGroupCommit } from '../src/subjects/fs-group-commit.js';

let folder: string;
let path: string;
let fd: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walstack-benchmarks-'));
  path = join(folder, 'file');
  fd = openSync(path, 'wx');
});

afterEach(() => rmSync(folder, { recursive: true }));

/** Records of any length, beyond what one buffer holds. */
const RECORDS = Array.from({ length: 500 }, (_, index) => Buffer.alloc(1 + ((index * 7919) % 5000), index));

test('group commit writes every record, in the order of the calls', async () => {
  const log = new FsGroupCommit(fd);
  for (let at = 0; at < RECORDS.length; at += 50) {
    const group = RECORDS.slice(at, at + 50).map((record) => {
      const lent = Buffer.from(record);
      const committed = log.commit(lent);
      lent.fill(0xff);
      return committed;
    });
    if (at % 100 === 0) await Promise.all(group);
    else await group[0];
  }
  await log.commit(new Uint8Array(0));
  closeSync(fd);
  expect(readFileSync(path).equals(Buffer.concat(RECORDS))).toBe(true);
});

test('group commit rejects what could not be written', async () => {
  closeSync(fd);
  const readOnly = openSync(path, 'r');
  const log = new FsGroupCommit(readOnly);
  const results = await Promise.allSettled([log.commit(Buffer.from('a')), log.commit(Buffer.from('b'))]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  closeSync(readOnly);
});

test('append writes every record, in the order of the calls', async () => {
  const file = new FsAppend(fd);
  for (const record of RECORDS) {
    const lent = Buffer.from(record);
    while (!file.append(lent)) await file.ready();
    lent.fill(0xff);
  }
  await file.flush();
  closeSync(fd);
  expect(readFileSync(path).equals(Buffer.concat(RECORDS))).toBe(true);
});
