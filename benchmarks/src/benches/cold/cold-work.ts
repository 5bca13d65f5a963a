/**
 * What a new process makes of a log, with code that was not run before; prints milliseconds, as JSON.
 * `append SUBJECT PATH COUNT`, `copies SUBJECT PATH COUNT`, `views SUBJECT PATH COUNT`, or `logs BACKEND PATH COUNT`.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { StorageIoName } from '@walstack/storage-io';
import { Wal } from '@walstack/wal';
import { RECORD_BYTES, RecordCheck } from '../../payloads/records.js';
import type { AppendingLog } from '../../subjects/subject.js';
import { appendingTo } from '../../subjects/walstack.js';
import { appendRange } from '../append/append.js';
import { COLD_SUBJECTS, LOGS, recordsOfLog } from './cold-subjects.js';

const [, , work = '', subject = '', path = '', given = '1'] = process.argv;
const count = Number(given);

/** Milliseconds until the records `first` to `last` are with the operating system. */
async function timedAppends(log: AppendingLog, first: number, last: number): Promise<number> {
  const start = performance.now();
  await appendRange(log, first, last, RECORD_BYTES);
  await log.flush();
  return performance.now() - start;
}

async function append(): Promise<number[]> {
  const log = await found().appending(path, count * RECORD_BYTES);
  const elapsedMs = await timedAppends(log, 1, count);
  await log.close();
  return [elapsedMs];
}

async function replay(handsOut: 'copies' | 'views'): Promise<number[]> {
  const log = await found().reading(path, RECORD_BYTES, handsOut);
  const check = new RecordCheck();
  const start = performance.now();
  await log.forEach((payload) => void check.next(payload, RECORD_BYTES));
  const elapsedMs = performance.now() - start;
  await log.close();
  check.end(count);
  return [elapsedMs];
}

/** One log after the other, each closed before the next is opened. @returns the times of the first, once warm, and the last */
async function logs(): Promise<number[]> {
  mkdirSync(path);
  const elapsedMs: number[] = [];
  for (let number = 1; number <= LOGS; number++) {
    const wal = await Wal.open(join(path, String(number)), { io: subject as StorageIoName });
    const log = appendingTo(wal);
    const records = recordsOfLog(number, count);
    if (number === 1) {
      // Its second half: a new process compiles its code while it appends the first one.
      await timedAppends(log, 1, count);
      elapsedMs.push(await timedAppends(log, count + 1, records));
    } else elapsedMs.push(await timedAppends(log, 1, records));
    await wal.shutdown();
  }
  return elapsedMs;
}

function found() {
  const one = COLD_SUBJECTS.find(({ name }) => name === subject);
  if (one === undefined) throw new Error(`there is no subject ${subject}`);
  return one;
}

const run = { append, copies: () => replay('copies'), views: () => replay('views'), logs }[work];
if (run === undefined) throw new Error(`there is no work ${work}`);
process.stdout.write(JSON.stringify(await run()));
