import type { Case, Contestant } from '../../case.js';
import { readBack } from '../../payloads/read-back.js';
import { RECORD_BYTES } from '../../payloads/records.js';
import type { Settings } from '../../settings.js';
import type { BlockingLog, Subject } from '../../subjects/subject.js';
import { nativeCommits } from '../../yardsticks/native-commits.js';
import { ringCommits } from '../../yardsticks/ring-commits.js';
import { batches } from './batches.js';
import { commitFor, commitSyncFor } from './committers.js';

const COMMITTERS = [1, 8, 64, 512];

/** Records that are waited for until they are on stable storage. */
export function durable(settings: Settings): Case[] {
  const concurrent = COMMITTERS.map((committers) => ({
    bench: 'durable',
    name: `committers=${committers}`,
    unit: 'commits/s',
    contestants: [
      ...settings.subjects.map((subject) => committing(settings, subject, committers)),
      ...ringCommits(settings, committers),
      ...nativeCommits(settings, committers),
    ],
  }));
  const blocking = settings.subjects.flatMap((subject) =>
    subject.blocking === undefined ? [] : [committingSync(settings, subject, subject.blocking)],
  );
  const sync = { bench: 'durable', name: 'sync', unit: 'commits/s' };
  return [...concurrent, { ...sync, contestants: [...blocking, ...nativeCommits(settings, 1)] }, ...batches(settings)];
}

function committing({ scratch, durationMs }: Settings, subject: Subject, committers: number): Contestant {
  return {
    subject: subject.name,
    measure: async () => {
      const path = scratch.next('log');
      const log = await subject.committing(path);
      const { commits, ...sample } = await commitFor(log, committers, durationMs);
      await log.close();
      await readBack(subject, path, commits, RECORD_BYTES);
      scratch.remove(path);
      return sample;
    },
  };
}

function committingSync(
  { scratch, durationMs }: Settings,
  subject: Subject,
  open: (path: string) => BlockingLog,
): Contestant {
  return {
    subject: subject.name,
    measure: async () => {
      const path = scratch.next('log');
      const log = open(path);
      const { commits, ...sample } = commitSyncFor((payload) => log.commit(payload), durationMs);
      await log.close();
      await readBack(subject, path, commits, RECORD_BYTES);
      scratch.remove(path);
      return sample;
    },
  };
}
