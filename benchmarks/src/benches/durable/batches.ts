import type { Case, Contestant } from '../../case.js';
import { readBack } from '../../payloads/read-back.js';
import { NumberedRecord, RECORD_BYTES } from '../../payloads/records.js';
import { Latencies } from '../../rows/latencies.js';
import type { Settings } from '../../settings.js';
import type { BlockingLog, Subject } from '../../subjects/subject.js';

const BATCHES = [1, 8, 64, 512];

/** So many appends and one sync, again and again, in a thread that is blocked meanwhile. */
export const batches = (settings: Settings): Case[] =>
  BATCHES.map((batch) => ({
    bench: 'durable',
    name: `batch=${batch}`,
    unit: 'records/s',
    contestants: settings.subjects.flatMap((subject) =>
      subject.blocking === undefined ? [] : [committingBatches(settings, subject, subject.blocking, batch)],
    ),
  }));

function committingBatches(
  { scratch, durationMs }: Settings,
  subject: Subject,
  open: (path: string) => BlockingLog,
  batch: number,
): Contestant {
  return {
    subject: subject.name,
    measure: async () => {
      const path = scratch.next('log');
      const log = open(path);
      const record = new NumberedRecord(RECORD_BYTES);
      const latencies = new Latencies();
      let records = 0;
      const start = performance.now();
      let before = start;
      while (before < start + durationMs) {
        log.commitBatch(record, records + 1, records + batch);
        records += batch;
        const after = performance.now();
        latencies.add((after - before) * 1000);
        before = after;
      }
      await log.close();
      await readBack(subject, path, records, RECORD_BYTES);
      scratch.remove(path);
      return { value: (records * 1000) / (before - start), latency: latencies.summary };
    },
  };
}
