import type { Case, Contestant } from '../../case.js';
import { readBack } from '../../payloads/read-back.js';
import { NumberedRecord } from '../../payloads/records.js';
import { recordsOf, type Settings } from '../../settings.js';
import type { AppendingLog, Subject } from '../../subjects/subject.js';
import { inBursts } from './bursts.js';

const SIZES = [16, 100, 1024, 16 * 1024, 256 * 1024];

/** Records that are not waited for, until the last of them is with the operating system. */
export const append = (settings: Settings): Case[] =>
  SIZES.map((bytes) => ({
    bench: 'append',
    name: `bytes=${bytes}`,
    unit: 'records/s',
    contestants: settings.subjects.map((subject) => appending(settings, subject, bytes)),
  }));

function appending(settings: Settings, subject: Subject, bytes: number): Contestant {
  const { scratch } = settings;
  const count = recordsOf(settings, bytes);
  return {
    subject: subject.name,
    measure: async () => {
      const path = scratch.next('log');
      const log = await subject.appending(path, count * bytes);
      const start = performance.now();
      await appendRange(log, 1, count, bytes);
      await log.flush();
      const elapsedMs = performance.now() - start;
      await log.close();
      await readBack(subject, path, count, bytes);
      scratch.remove(path);
      return { value: (count * 1000) / elapsedMs };
    },
  };
}

/** Appends the records `first` to `last`, each as long as `bytes`. */
export function appendRange(log: AppendingLog, first: number, last: number, bytes: number): Promise<void> {
  const record = new NumberedRecord(bytes);
  return inBursts(
    first,
    last,
    bytes,
    (from, to) => log.take(record, from, to),
    () => log.ready(),
  );
}
