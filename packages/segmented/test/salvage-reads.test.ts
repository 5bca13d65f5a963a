import { join } from 'node:path';
import { SegmentedWal } from '@walstack/segmented';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';
import { changed, flip, type Snapshot, sameFiles, segmentNames, snapshot, writeFile } from './support/files.js';
import { DIRECTORY, make, recordsOf } from './support/logs.js';

const made = make({ groups: Array.from({ length: 24 }, () => [90, 60]), config: { segmentBytes: 2048 } });

/** The log with a byte of each of these records inverted, in the segment with this index. */
function damaged(index: number, ...records: readonly number[]): Snapshot {
  const name = segmentNames(made.files).at(index) as string;
  const places = recordsOf(made.files.get(name) as Uint8Array).filter(({ mark }) => !mark);
  let files: Snapshot = made.files;
  for (const record of records) files = changed(files, name, flip((places.at(record)?.start as number) + 40));
  return files;
}

function diskWith(files: Snapshot): SimulatedDisk {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo();
  io.makeDirectory(DIRECTORY);
  for (const [name, bytes] of files) writeFile(io, join(DIRECTORY, name), bytes);
  disk.kill();
  return disk;
}

function salvage(disk: SimulatedDisk): SegmentedWal {
  const config = { directory: DIRECTORY, blockBytes: 512, segmentBytes: 2048, recoveryMode: 'salvage' } as const;
  return SegmentedWal.openSync({ ...config, io: disk.createStorageIo(), ...new TestEnvironment(5).options });
}

describe.each([
  ['a sealed segment with two damaged records', damaged(2, 2, 4)],
  ['the newest segment with a damaged record before others', damaged(-1, 0)],
  ['a segment whose header is damaged', changed(made.files, segmentNames(made.files)[2] as string, flip(20))],
])('salvage of %s', (_name, files) => {
  /** How many reads come before anything is changed. */
  const readsOf = (): number => {
    const disk = diskWith(files);
    let reads = 0;
    let changes = false;
    disk.failWhen(({ kind }) => {
      if (kind === 'read' && !changes) reads++;
      else if (/write|rename|remove|truncate/.test(kind)) changes = true;
      return undefined;
    });
    salvage(disk);
    return reads;
  };

  test('is refused where a read fails, and has changed nothing', () => {
    const reads = readsOf();
    expect(reads).toBeGreaterThan(5);
    for (let failing = 1; failing <= reads; failing++) {
      const disk = diskWith(files);
      let count = 0;
      disk.failWhen(({ kind }) => (kind === 'read' && ++count === failing ? 'EIO' : undefined));
      expect(() => salvage(disk), `read ${failing} of ${reads}`).toThrow(
        expect.objectContaining({ code: 'WAL_IO_FAILED' }),
      );
      disk.kill();
      disk.failWhen(undefined);
      expect(sameFiles(snapshot(disk.createStorageIo(), DIRECTORY), files), `read ${failing} of ${reads}`).toBe(true);
    }
  });
});
