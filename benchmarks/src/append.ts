import { closeSync, openSync } from 'node:fs';
import { Wal, WalError } from '@walstack/wal';
import { inBursts } from './bursts.js';
import type { Case, Contestant, Sample } from './case.js';
import { FsAppend } from './fs-append.js';
import { checkFile, checkLog } from './read-back.js';
import { NumberedRecord, RECORD_BYTES } from './records.js';
import type { Settings } from './settings.js';

/** Records that nobody waits for, until the last of them is with the operating system. */
export function append(settings: Settings): Case[] {
  const contestants = [walstack(settings, 'thread-pool'), walstack(settings, 'sync-fs'), fileSystem(settings)];
  return [{ bench: 'append', name: `bytes=${RECORD_BYTES}`, unit: 'records/s', contestants }];
}

function walstack({ scratch, records }: Settings, io: 'thread-pool' | 'sync-fs'): Contestant {
  return {
    subject: `walstack/${io}`,
    measure: async () => {
      const directory = scratch.next('log');
      const wal = await Wal.open(directory, { io });
      const sample = await timed(records, async () => {
        await appendAll(wal, records);
        await wal.flush();
      });
      await wal.shutdown();
      await checkLog(directory, records, RECORD_BYTES);
      scratch.remove(directory);
      return sample;
    },
  };
}

function fileSystem({ scratch, records }: Settings): Contestant {
  return {
    subject: 'fs',
    measure: async () => {
      const path = scratch.next('file');
      const fd = openSync(path, 'wx');
      const file = new FsAppend(fd);
      const sample = await timed(records, async () => {
        await writeAll(file, records);
        await file.flush();
      });
      closeSync(fd);
      checkFile(path, records, RECORD_BYTES);
      scratch.remove(path);
      return sample;
    },
  };
}

/** Appends the records 1 to `count` to a log. */
export function appendAll(wal: Wal, count: number): Promise<void> {
  const record = new NumberedRecord(RECORD_BYTES);
  const take = (from: number, to: number): number => {
    let number = from;
    try {
      for (; number <= to; number++) wal.append(record.numbered(number));
    } catch (error) {
      if (!WalError.is(error, 'WAL_BACKPRESSURE')) throw error;
    }
    return number;
  };
  return inBursts(count, take, () => wal.ready());
}

function writeAll(file: FsAppend, count: number): Promise<void> {
  const record = new NumberedRecord(RECORD_BYTES);
  const take = (from: number, to: number): number => {
    let number = from;
    while (number <= to && file.append(record.numbered(number))) number++;
    return number;
  };
  return inBursts(count, take, () => file.ready());
}

async function timed(records: number, work: () => Promise<void>): Promise<Sample> {
  const start = performance.now();
  await work();
  return { value: (records * 1000) / (performance.now() - start) };
}
