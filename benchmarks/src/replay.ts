import { appendRange } from './append.js';
import type { Case, Contestant } from './case.js';
import { CrashedLog } from './crashed-log.js';
import { RECORD_BYTES, RecordCheck } from './records.js';
import type { Settings } from './settings.js';
import type { Subject } from './subjects/subject.js';
import { nativeScan, nativeScanMissing } from './yardsticks/native-scan.js';

/** Reading everything back, and opening after a crash, from a warm cache. */
export const replay = (settings: Settings): Case[] => [views(settings), openAfterCrash(settings)];

/** Reading everything back in order, with a view of each payload. */
function views(settings: Settings): Case {
  const stores = new Stores(settings);
  const contestants = settings.subjects.map((subject) => viewing(settings, stores, subject));
  const walstack = settings.subjects.find(isWalstack);
  if (walstack !== undefined && nativeScanMissing === undefined) {
    contestants.push(scanning(settings.replayRecords, () => stores.of(walstack)));
  }
  return { bench: 'replay', name: 'views', unit: 'records/s', contestants };
}

const isWalstack = ({ name }: Subject): boolean => name.startsWith('walstack/');

function viewing({ replayRecords }: Settings, stores: Stores, subject: Subject): Contestant {
  return {
    subject: subject.name,
    prepare: async () => void (await stores.of(subject)),
    measure: async () => {
      const log = await subject.reading(await stores.of(subject), RECORD_BYTES);
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
