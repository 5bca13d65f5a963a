import { SegmentedWal } from '@walstack/segmented';
import { openStorageIo, type StorageIoName } from '@walstack/storage-io';
import { Wal, WalError } from '@walstack/wal';
import type { AppendingLog, BlockingLog, Subject } from './subject.js';

/**
 * The log that was written last, until the next one is opened. With the last object of a shape V8 throws away all code that it
 * optimised for the shape, as a program whose log stays open never sees.
 */
let latest: Wal | SegmentedWal | undefined;

function kept<T extends Wal | SegmentedWal>(log: T): T {
  latest = log;
  return latest as T;
}

/** Every backend that keeps a log on a disk. */
export const BACKENDS = ['io-uring', 'thread-pool', 'sync-fs'] as const;

/** The log on each backend. @returns those that work here, and a sentence for each that does not */
export async function walstackSubjects(): Promise<{ subjects: Subject[]; leftOut: string[] }> {
  const subjects: Subject[] = [];
  const leftOut: string[] = [];
  for (const io of BACKENDS) {
    try {
      const { canWait } = await tried(io);
      subjects.push(walstack(io, canWait));
    } catch (error) {
      leftOut.push(`walstack/${io} is left out: ${(error as Error).message}`);
    }
  }
  return { subjects, leftOut };
}

async function tried(name: StorageIoName) {
  const io = openStorageIo(name);
  await io.dispose();
  return io.capabilities;
}

/** `Wal` with all options at their defaults. */
export function walstack(io: StorageIoName, canWait: boolean): Subject {
  return {
    name: `walstack/${io}`,
    how: 'all options at their defaults',
    appending: async (path) => appendingTo(kept(await Wal.open(path, { io }))),
    committing: async (path) => {
      const wal = kept(await Wal.open(path, { io }));
      return { commit: (payload) => wal.commit(payload), close: () => wal.shutdown() };
    },
    blocking: canWait ? (path) => blockingOn(kept(SegmentedWal.openSync({ directory: path, io }))) : undefined,
    reading: async (path, _payloadBytes, handsOut = 'views') => {
      const wal = await Wal.open(path, { io, create: false });
      return {
        forEach: async (f) => {
          await wal.replay('first', ({ payload, lsn }) => f(payload, lsn), { copy: handsOut === 'copies' });
        },
        close: () => wal.shutdown(),
      };
    },
  };
}

const blockingOn = (wal: SegmentedWal): BlockingLog => ({
  commit: (payload) => {
    wal.append(payload);
    wal.syncSync();
  },
  commitBatch: (record, from, to) => {
    for (let number = from; number <= to; number++) wal.append(record.numbered(number));
    wal.syncSync();
  },
  close: () => wal.closeSync(),
});

/** Appends to a log that is open. */
export const appendingTo = (wal: Wal): AppendingLog => ({
  take: (record, from, to) => {
    let number = from;
    try {
      for (; number <= to; number++) wal.append(record.numbered(number));
    } catch (error) {
      if (!WalError.is(error, 'WAL_BACKPRESSURE')) throw error;
    }
    return number;
  },
  ready: () => wal.ready(),
  flush: () => wal.flush(),
  close: () => wal.shutdown(),
});
