import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { replayDirectory } from '@walstack/mmap-reader';
import type { Case, Contestant } from '../../case.js';
import { inPackage } from '../../machine/folders.js';
import { RECORD_BYTES, RecordCheck } from '../../payloads/records.js';
import type { Settings } from '../../settings.js';
import type { HandsOut, Subject } from '../../subjects/subject.js';
import { nativeScan, nativeScanMissing } from '../../yardsticks/native-scan.js';
import { appendRange } from '../append/append.js';
import { CrashedLog } from './crashed-log.js';
import { replayMemory } from './replay-memory.js';
import type { ReplayAnswer, ReplayQuestion } from './replay-worker.js';
import { viewEach } from './view-each.js';

/** Reading everything back, and opening after a crash, from a warm cache. */
export function replay(settings: Settings): Case[] {
  const stores = new Stores(settings);
  return [
    views(settings, stores),
    copies(settings, stores),
    ...cursor(settings, stores),
    ...fallback(settings, stores),
    openAfterCrash(settings),
    ...replayMemory(settings),
  ];
}

/** Reading everything back in order, with a view of each payload. */
function views(settings: Settings, stores: Stores): Case {
  const contestants = settings.subjects.map((subject) => viewing(settings, stores, subject));
  const walstack = settings.subjects.find(isWalstack);
  if (walstack !== undefined) {
    const path = () => stores.of(walstack);
    contestants.push(directly(settings, path, 'walstack/mmap-reader', viewEach));
    if (nativeScanMissing === undefined) contestants.push(scanning(settings.replayRecords, path));
  }
  return { bench: 'replay', name: 'views', unit: 'records/s', contestants };
}

/** The same with a copy of each payload, which is what a program gets that asks for nothing else. */
const copies = (settings: Settings, stores: Stores): Case => ({
  bench: 'replay',
  name: 'copies',
  unit: 'records/s',
  contestants: settings.subjects.map((subject) => viewing(settings, stores, subject, 'copies')),
});

/** Stepping over every record, and making nothing for it. */
function cursor(settings: Settings, stores: Stores): Case[] {
  const walstack = settings.subjects.find(isWalstack);
  if (walstack === undefined) return [];
  const path = () => stores.of(walstack);
  const contestants = [directly(settings, path, 'walstack/mmap-reader', stepOverEach)];
  if (nativeScanMissing === undefined) contestants.push(scanning(settings.replayRecords, path));
  return [{ bench: 'replay', name: 'cursor', unit: 'records/s', contestants }];
}

/** What `views` does, without the addon; the databases have what they always have. */
function fallback(settings: Settings, stores: Stores): Case[] {
  const walstack = settings.subjects.find(isWalstack);
  if (walstack === undefined) return [];
  const others = settings.subjects.filter((subject) => !isWalstack(subject));
  const contestants = [
    withoutAddon(settings, () => stores.of(walstack)),
    ...others.map((subject) => viewing(settings, stores, subject)),
  ];
  return [{ bench: 'replay', name: 'fallback', unit: 'records/s', contestants }];
}

const isWalstack = ({ name }: Subject): boolean => name.startsWith('walstack/');

/** Reads the directory of a log, without opening the log. @returns how many records there were */
type Reading = (directory: string) => number;

function directly(
  { replayRecords }: Settings,
  directory: () => Promise<string>,
  subject: string,
  read: Reading,
): Contestant {
  return {
    subject,
    prepare: async () => void (await directory()),
    measure: async () => {
      const path = await directory();
      const start = performance.now();
      const count = read(path);
      const elapsedMs = performance.now() - start;
      if (count !== replayRecords) throw new Error(`${count} records of ${replayRecords} were read`);
      return { value: (replayRecords * 1000) / elapsedMs };
    },
  };
}

/** The LSN of each record is one more than that of the one before. */
function stepOverEach(directory: string): number {
  using cursor = replayDirectory(directory).cursor();
  let count = 0;
  while (cursor.next()) count++;
  if (cursor.lsn !== count) throw new Error(`LSN ${cursor.lsn} is the last of ${count}`);
  return count;
}

function withoutAddon({ replayRecords }: Settings, directory: () => Promise<string>): Contestant {
  let worker: Worker | undefined;
  return {
    subject: 'walstack/javascript',
    prepare: async () => {
      await directory();
      const env = { ...process.env, WALSTACK_NATIVE: '0' };
      worker = new Worker(inPackage('dist', 'replay-worker.js'), { env });
    },
    measure: async () => {
      const question: ReplayQuestion = { directory: await directory() };
      const answered = once(worker as Worker, 'message');
      worker?.postMessage(question);
      const [{ available, count, elapsedMs }] = (await answered) as [ReplayAnswer];
      if (available || count !== replayRecords)
        throw new Error('what was measured is not the replay without the addon');
      return { value: (count * 1000) / elapsedMs };
    },
    end: async () => void (await worker?.terminate()),
  };
}

function viewing(
  { replayRecords }: Settings,
  stores: Stores,
  subject: Subject,
  handsOut: HandsOut = 'views',
): Contestant {
  return {
    subject: subject.name,
    prepare: async () => void (await stores.of(subject)),
    measure: async () => {
      const log = await subject.reading(await stores.of(subject), RECORD_BYTES, handsOut);
      const check = new RecordCheck();
      const start = performance.now();
      await log.forEach((payload) => void check.next(payload, RECORD_BYTES));
      const elapsedMs = performance.now() - start;
      await log.close();
      check.end(replayRecords);
      return { value: (replayRecords * 1000) / elapsedMs };
    },
  };
}

function scanning(records: number, directory: () => Promise<string>): Contestant {
  return {
    subject: 'native-scan',
    measure: async () => {
      const path = await directory();
      const start = performance.now();
      const { frames } = nativeScan(path);
      const elapsedMs = performance.now() - start;
      // Marks are frames too.
      if (frames < records) throw new Error(`the native scan found ${frames} frames of ${records} records`);
      return { value: (frames * 1000) / elapsedMs };
    },
  };
}

/** What the subjects read, made when it is first asked for. All backends of walstack read the same log. */
class Stores {
  readonly #settings: Settings;
  readonly #made = new Map<string, Promise<string>>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  of(subject: Subject): Promise<string> {
    const key = isWalstack(subject) ? 'walstack' : subject.name;
    const made = this.#made.get(key) ?? this.#make(subject);
    this.#made.set(key, made);
    return made;
  }

  async #make(subject: Subject): Promise<string> {
    const { scratch, replayRecords } = this.#settings;
    const path = scratch.next('log');
    const log = await subject.appending(path, replayRecords * RECORD_BYTES);
    await appendRange(log, 1, replayRecords, RECORD_BYTES);
    await log.flush();
    await log.close();
    return path;
  }
}

/** Opening a log whose process died in mid-write. */
function openAfterCrash(settings: Settings): Case {
  const crashed = new CrashedLog(settings);
  const walstack = settings.subjects.filter(isWalstack).map((subject) => opening(crashed, subject));
  const contestants = nativeScanMissing === undefined ? [...walstack, scanningCrashed(crashed)] : walstack;
  return { bench: 'replay', name: 'open-after-crash', unit: 'bytes/s', contestants };
}

function opening(crashed: CrashedLog, subject: Subject): Contestant {
  return {
    subject: subject.name,
    prepare: () => crashed.make(),
    measure: async () => {
      const { path, bytes, records } = crashed.copy();
      const start = performance.now();
      const log = await subject.reading(path, RECORD_BYTES);
      const elapsedMs = performance.now() - start;
      const check = new RecordCheck();
      await log.forEach((payload) => void check.next(payload, RECORD_BYTES));
      await log.close();
      check.end(records);
      crashed.remove(path);
      return { value: (bytes * 1000) / elapsedMs };
    },
  };
}

function scanningCrashed(crashed: CrashedLog): Contestant {
  return {
    subject: 'native-scan',
    measure: async () => {
      const { path } = crashed.copy();
      const start = performance.now();
      const { bytes } = nativeScan(path);
      const elapsedMs = performance.now() - start;
      crashed.remove(path);
      return { value: (bytes * 1000) / elapsedMs };
    },
  };
}
