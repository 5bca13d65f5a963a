import { readdirSync } from 'node:fs';
import { parseSegmentFileName } from '@walstack/codec';
import { Wal } from '@walstack/wal';
import type { Case } from '../../case.js';
import { readBack } from '../../payloads/read-back.js';
import { NumberedRecord, RECORD_BYTES } from '../../payloads/records.js';
import type { Settings } from '../../settings.js';
import { onBackends } from '../../subjects/on-backends.js';

/** A log that is opened again and again for one commit: how long the last opening takes, and how many segments there are. */
export function openings(settings: Settings): Case {
  const { scratch, openings: times } = settings;
  const contestants = onBackends(settings.subjects, (subject, io) => ({
    subject: subject.name,
    measure: async () => {
      const path = scratch.next('log');
      const record = new NumberedRecord(RECORD_BYTES);
      let lastMs = Number.NaN;
      for (let time = 1; time <= times; time++) {
        const start = performance.now();
        const wal = await Wal.open(path, { io });
        lastMs = performance.now() - start;
        await wal.commit(record.numbered(time));
        await wal.shutdown();
      }
      const segments = readdirSync(path).filter((name) => parseSegmentFileName(name) !== undefined).length;
      await readBack(subject, path, times, RECORD_BYTES);
      scratch.remove(path);
      return { value: lastMs, also: [{ name: 'segments', unit: 'segments', value: segments }] };
    },
  }));
  return { bench: 'log', name: `openings=${times}`, unit: 'ms', contestants };
}
