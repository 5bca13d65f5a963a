import { writeFileSync } from 'node:fs';
import { Wal } from '@walstack/wal';
import { appendAll } from './append.js';
import type { Case, Contestant } from './case.js';
import { forEachRecord } from './read-back.js';
import { NumberedRecord, RECORD_BYTES, RecordCheck } from './records.js';
import type { Settings } from './settings.js';

/** Reading everything back from a warm cache, with a view of each payload. */
export function replay(settings: Settings): Case[] {
  const contestants = [walstack(settings, 'thread-pool'), walstack(settings, 'sync-fs'), fileSystem(settings)];
  return [{ bench: 'replay', name: 'views', unit: 'records/s', contestants }];
}

function walstack({ scratch, records }: Settings, io: 'thread-pool' | 'sync-fs'): Contestant {
  const directory = scratch.next('log');
  return {
    subject: `walstack/${io}`,
    prepare: async () => {
      await using wal = await Wal.open(directory, { io });
      await appendAll(wal, records);
    },
    measure: async () => {
      await using wal = await Wal.open(directory, { io, create: false });
      const check = new RecordCheck();
      const start = performance.now();
      await wal.replay('first', ({ payload }) => check.next(payload, RECORD_BYTES), { copy: false });
      const elapsedMs = performance.now() - start;
      check.end(records);
      return { value: (records * 1000) / elapsedMs };
    },
  };
}

function fileSystem({ scratch, records }: Settings): Contestant {
  const path = scratch.next('file');
  return {
    subject: 'fs',
    prepare: async () => {
      const record = new NumberedRecord(RECORD_BYTES);
      const bytes = Buffer.alloc(records * RECORD_BYTES);
      for (let number = 1; number <= records; number++) bytes.set(record.numbered(number), (number - 1) * RECORD_BYTES);
      writeFileSync(path, bytes);
    },
    measure: async () => {
      const check = new RecordCheck();
      const start = performance.now();
      forEachRecord(path, RECORD_BYTES, (payload) => check.next(payload, RECORD_BYTES));
      const elapsedMs = performance.now() - start;
      check.end(records);
      return { value: (records * 1000) / elapsedMs };
    },
  };
}
