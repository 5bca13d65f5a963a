import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Case, Contestant } from '../../case.js';
import { inPackage } from '../../machine/folders.js';
import { readBack } from '../../payloads/read-back.js';
import { RECORD_BYTES } from '../../payloads/records.js';
import { ringMissing } from '../../ring/missing.js';
import { ringAppend } from '../../ring/ring-append.js';
import type { Settings } from '../../settings.js';
import { onBackends } from '../../subjects/on-backends.js';
import type { Subject } from '../../subjects/subject.js';
import { appendRange } from '../append/append.js';
import { COLD_SUBJECTS, LOGS, recordsOfLog } from './cold-subjects.js';

/** What short-lived programs get: each measurement is made by a new process, whose code was never run before. */
export function cold(settings: Settings): Case[] {
  const subjects = settings.subjects.filter(({ name }) => COLD_SUBJECTS.some((each) => each.name === name));
  const logs = new Map<string, Promise<string>>();
  const logOf = (subject: Subject): Promise<string> => {
    const kind = subject.name.startsWith('walstack/') ? 'walstack' : subject.name;
    const made = logs.get(kind) ?? makeLog(settings, subject);
    logs.set(kind, made);
    return made;
  };
  const appended = ringMissing() === undefined ? [...subjects, ringAppend] : subjects;
  const caseOf = (name: string, contestants: Contestant[]): Case => ({
    bench: 'cold',
    name,
    unit: 'records/s',
    contestants,
  });
  const replayed = (work: 'copies' | 'views'): Case =>
    caseOf(
      `replay ${work}`,
      subjects.map((subject) => replaying(settings, subject, work, logOf)),
    );
  return [
    caseOf(
      'append',
      appended.map((subject) => appending(settings, subject)),
    ),
    replayed('copies'),
    replayed('views'),
    severalLogs(settings),
  ];
}

function appending({ scratch, coldRecords }: Settings, subject: Pick<Subject, 'name' | 'reading'>): Contestant {
  return {
    subject: subject.name,
    measure: async () => {
      const path = scratch.next('log');
      const [elapsedMs = Number.NaN] = inNewProcess('append', subject.name, path, coldRecords);
      await readBack(subject, path, coldRecords, RECORD_BYTES);
      scratch.remove(path);
      return { value: (coldRecords * 1000) / elapsedMs };
    },
  };
}

/** The process checks what it reads. */
function replaying(
  { coldRecords }: Settings,
  subject: Subject,
  work: 'copies' | 'views',
  logOf: (subject: Subject) => Promise<string>,
): Contestant {
  return {
    subject: subject.name,
    prepare: async () => void (await logOf(subject)),
    measure: async () => {
      const [elapsedMs = Number.NaN] = inNewProcess(work, subject.name, await logOf(subject), coldRecords);
      return { value: (coldRecords * 1000) / elapsedMs };
    },
  };
}

async function makeLog({ scratch, coldRecords }: Settings, subject: Subject): Promise<string> {
  const path = scratch.next('log');
  const log = await subject.appending(path, coldRecords * RECORD_BYTES);
  await appendRange(log, 1, coldRecords, RECORD_BYTES);
  await log.flush();
  await log.close();
  return path;
}

/** The last of several logs that a process opens, one after the other, beside the first when its code is warm. */
function severalLogs(settings: Settings): Case {
  const { scratch, records } = settings;
  const contestants = onBackends(settings.subjects, (subject, io) => ({
    subject: subject.name,
    measure: async () => {
      const path = scratch.next('logs');
      const elapsedMs = inNewProcess('logs', io, path, records);
      for (let number = 1; number <= LOGS; number++)
        await readBack(subject, join(path, String(number)), recordsOfLog(number, records), RECORD_BYTES);
      scratch.remove(path);
      const [first = Number.NaN, last = Number.NaN] = [elapsedMs.at(0), elapsedMs.at(-1)];
      const unit = 'records/s';
      return {
        value: first / last,
        also: [
          { name: 'first', unit, value: (records * 1000) / first },
          { name: 'last', unit, value: (records * 1000) / last },
        ],
      };
    },
  }));
  return { bench: 'cold', name: `logs=${LOGS}`, unit: '× first', contestants };
}

function inNewProcess(work: string, subject: string, path: string, count: number): number[] {
  const args = [inPackage('dist', 'cold-work.js'), work, subject, path, String(count)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${work} of ${subject} in a new process failed: ${stderr}`);
  return JSON.parse(stdout) as number[];
}
