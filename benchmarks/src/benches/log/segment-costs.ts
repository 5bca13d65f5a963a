import { recordFrameBytes } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import type { StorageIoName } from '@walstack/storage-io';
import { Wal } from '@walstack/wal';
import type { Case } from '../../case.js';
import { readBack } from '../../payloads/read-back.js';
import { RECORD_BYTES, RecordCheck } from '../../payloads/records.js';
import type { Settings } from '../../settings.js';
import { onBackends } from '../../subjects/on-backends.js';
import { appendingTo } from '../../subjects/walstack.js';
import { appendRange } from '../append/append.js';
import { commitFor } from '../durable/committers.js';

/** Appending the records of a few segments, the first of which is the one with this number. */
export function appendInSegment(settings: Settings, segment: number): Case {
  const { scratch, bytes } = settings;
  const segmentBytes = bytes / 64;
  const perSegment = Math.floor(segmentBytes / recordFrameBytes(RECORD_BYTES, 0, false));
  const before = (segment - 1) * perSegment;
  const last = before + 4 * perSegment;
  const contestants = onBackends(settings.subjects, (subject, io) => ({
    subject: subject.name,
    measure: async () => {
      const path = scratch.next('log');
      const wal = await Wal.open(path, { io, segmentBytes });
      const appending = appendingTo(wal);
      await appendRange(appending, 1, before, RECORD_BYTES);
      await wal.sync();
      const start = performance.now();
      await appendRange(appending, before + 1, last, RECORD_BYTES);
      await wal.flush();
      const elapsedMs = performance.now() - start;
      await wal.shutdown();
      await readBack(subject, path, last, RECORD_BYTES);
      scratch.remove(path);
      return { value: ((last - before) * 1000) / elapsedMs };
    },
  }));
  return { bench: 'log', name: `append segment=${segment}`, unit: 'records/s', contestants };
}

/** Segments that stay when the log is truncated. */
const KEPT_SEGMENTS = 4;

/** Eight committers, on segments so long; what is no longer needed is truncated meanwhile, so that files are used again. */
export function commits(settings: Settings, name: string, segmentBytes: number | undefined): Case {
  const { scratch, durationMs } = settings;
  const contestants = onBackends(settings.subjects, (subject, io) => ({
    subject: subject.name,
    measure: async () => {
      const directory = scratch.next('log');
      const wal = await SegmentedWal.open({ directory, io, ...(segmentBytes === undefined ? {} : { segmentBytes }) });
      const { commits, ...sample } = await commitFor(truncatingLog(wal), 8, durationMs);
      await wal.close();
      await readBackFrom(directory, commits, io);
      scratch.remove(directory);
      return sample;
    },
  }));
  return { bench: 'log', name, unit: 'commits/s', contestants };
}

function truncatingLog(wal: SegmentedWal) {
  let truncating: Promise<unknown> | undefined;
  const truncate = async (): Promise<void> => {
    const first = wal.listSegments().at(-KEPT_SEGMENTS)?.firstLsn;
    if (first !== undefined && first > wal.firstLsn) await wal.truncateBefore(first);
  };
  let count = 0;
  return {
    commit: async (payload: Uint8Array) => {
      wal.append(payload);
      if (++count % 512 === 0 && truncating === undefined) {
        truncating = truncate().finally(() => {
          truncating = undefined;
        });
      }
      await wal.sync();
    },
  };
}

/** Checks that a log has the records up to `last`, from the first that it has. */
async function readBackFrom(directory: string, last: number, io: StorageIoName): Promise<void> {
  await using wal = await Wal.open(directory, { io, create: false });
  const { firstLsn } = wal;
  const check = new RecordCheck(firstLsn);
  await wal.replay('first', ({ payload }) => check.next(payload, RECORD_BYTES), { copy: false });
  check.end(last - firstLsn + 1);
}
