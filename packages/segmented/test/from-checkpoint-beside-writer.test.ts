import { WalError } from '@walstack/codec';
import { LogTail, replayDirectory } from '@walstack/mmap-reader';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, MemoryDisk, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';

const DIRECTORY = '/log';
const CONFIG = { directory: DIRECTORY, blockBytes: 512, recycleSegments: 0, markAfterMs: 0 };

/** Appends records up to an LSN. Each names the cut behind which it was appended. */
function appendTo(wal: SegmentedWal, lsn: number, cuts: number): void {
  while (wal.nextLsn <= lsn) {
    wal.append(`${cuts}`.padEnd(400));
    wal.syncSync();
  }
}

/** What the writer may do, all of it between two calls of the reader. */
const DEEDS: Record<string, (wal: SegmentedWal) => void> = {
  'moves the checkpoint': (wal) => wal.checkpointSync(5),
  'moves the checkpoint and truncates': (wal) => {
    wal.checkpointSync(5);
    wal.truncateBeforeSync(6);
  },
  'truncates to the checkpoint': (wal) => {
    wal.truncateBeforeSync(4);
  },
  'appends, moves the checkpoint there and truncates': (wal) => {
    appendTo(wal, 9, 0);
    wal.checkpointSync(8);
    wal.truncateBeforeSync(9);
  },
  'cuts behind the checkpoint': (wal) => {
    wal.truncateAfterSync(4);
    appendTo(wal, 6, 1);
  },
  'cuts before the checkpoint': (wal) => {
    wal.truncateAfterSync(1);
    appendTo(wal, 8, 1);
  },
  'cuts, appends and moves the checkpoint further': (wal) => {
    wal.truncateAfterSync(1);
    appendTo(wal, 8, 1);
    wal.checkpointSync(7);
    appendTo(wal, 9, 1);
  },
  'resets further on': (wal) => {
    wal.resetToSync(100);
    appendTo(wal, 102, 1);
  },
  'resets to an earlier place': (wal) => {
    wal.resetToSync(2);
    appendTo(wal, 6, 1);
  },
};

interface Found {
  readonly lsn: number;
  readonly text: string;
}

/** Reads with a writer that does something before the `turn`-th call of the reader to the backend on names. */
async function readBeside(
  deed: (wal: SegmentedWal) => void,
  turn: number,
  segmentBytes: number,
  read: (io: StorageIo) => AsyncIterable<Found>,
): Promise<{ wal: SegmentedWal; found: Found[]; error: unknown; isDone: boolean }> {
  const disk = new MemoryDisk();
  const wal = SegmentedWal.openSync({ ...CONFIG, segmentBytes, io: createMemoryStorageIo({ disk }) });
  appendTo(wal, 6, 0);
  wal.checkpointSync(3);
  let calls = 0;
  let isDone = false;
  const io = createMemoryStorageIo({ disk });
  const { list, open } = io;
  const step = (): void => {
    if (++calls !== turn) return;
    isDone = true;
    deed(wal);
  };
  Object.assign(io, {
    list: (path: string) => {
      step();
      return list.call(io, path);
    },
    open: (...given: Parameters<StorageIo['open']>) => {
      step();
      return open.apply(io, given);
    },
  });
  const found: Found[] = [];
  let error: unknown;
  try {
    for await (const each of read(io)) found.push(each);
  } catch (reason) {
    error = reason;
  }
  return { wal, found, error, isDone };
}

async function* tailed(io: StorageIo): AsyncIterable<Found> {
  using tail = new LogTail(io, DIRECTORY, { from: 'checkpoint' });
  // What comes during a look is found by a later one.
  for (let looks = 0; looks < 4; looks++) {
    while (await tail.advance()) {
      for (let each = tail.next(); each !== undefined; each = tail.next()) yield foundIn(each);
    }
  }
}

async function* replayed(io: StorageIo): AsyncIterable<Found> {
  for await (const each of replayDirectory(DIRECTORY, { io, from: 'checkpoint' })) yield foundIn(each);
}

const foundIn = ({ lsn, payload }: { readonly lsn: number; readonly payload: Uint8Array }): Found => ({
  lsn,
  text: Buffer.from(payload).toString().trim(),
});

describe.each([
  ['a tail', 'a record in each segment', tailed, true, 1024],
  ['a tail', 'all in one segment', tailed, true, 65_536],
  ['a replay of the directory', 'a record in each segment', replayed, false, 1024],
  ['a replay of the directory', 'all in one segment', replayed, false, 65_536],
] as const)('%s from the checkpoint on, %s,', (_what, _where, read, continues, segmentBytes) => {
  test.each(Object.keys(DEEDS))('misses nothing when the writer %s between any two of its calls', async (name) => {
    const deed = DEEDS[name] as (wal: SegmentedWal) => void;
    for (let turn = 1; ; turn++) {
      const { wal, found, error, isDone } = await readBeside(deed, turn, segmentBytes, read);
      const place = `${name}, before call ${turn}`;
      const lsns = found.map(({ lsn }) => lsn);
      const [first = wal.nextLsn] = lsns;
      expect(lsns, place).toEqual(lsns.map((_lsn, index) => first + index));
      if (error !== undefined) {
        // A cut changes what is before the place of a reader; a replay may lose records to a truncation beside it.
        expect(WalError.is(error, 'WAL_TRUNCATED') ? 'WAL_TRUNCATED' : error, place).toBe('WAL_TRUNCATED');
        const isCut = (error as WalError).reason !== undefined;
        expect(isCut || !continues || found.length > 0, `${place}: ${(error as Error).message}`).toBe(true);
      } else {
        // A replay is one of the log as it was at its beginning.
        const isOld = !continues && found.every(({ text }) => text === '0');
        expect(first, place).toBeLessThanOrEqual(Math.max(isOld ? 4 : 1, wal.checkpointLsn + 1, wal.firstLsn));
        // The last look may have been before the writer appended.
        if (continues) expect([6, wal.lastLsn], place).toContain(lsns.at(-1) ?? wal.lastLsn);
        // All records are of the log as it is, or all of them of the log as it was before a cut.
        expect(new Set(found.map(({ text }) => text)).size, place).toBeLessThanOrEqual(
          1 + Number(name.startsWith('cuts behind')),
        );
      }
      wal.closeSync();
      if (!isDone || turn > 30) break;
    }
  });
});
