import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';
import { DIRECTORY, texts } from './support/logs.js';

test.each([1, 2, 3, 4, 5, 6])(
  'wherever the buffer of a reader ends, within padding too, every record is read (seed %i)',
  async (seed) => {
    const io = createMemoryStorageIo();
    const environment = new TestEnvironment(seed);
    const config = { directory: DIRECTORY, io, blockBytes: 4096, segmentBytes: 2 * 1024 * 1024, padGroups: true };
    const wal = SegmentedWal.openSync({ ...config, ...environment.options });
    const appended: string[] = [];
    // Groups that end anywhere in a block, in a segment of several buffers.
    for (let group = 0; group < 250; group++) {
      const text = `${group} `.padEnd(100 + ((group * 7919 * seed) % 5000), 'x');
      appended.push(text);
      wal.append(text);
      wal.syncSync();
    }
    // While records are appended, the files are read as far as they are written.
    expect(texts(wal.replay())).toEqual(appended);
    const read: string[] = [];
    for await (const { payload } of wal.replay()) read.push(Buffer.from(payload).toString());
    expect(read).toEqual(appended);
    wal.closeSync();
    const again = SegmentedWal.openSync({ ...config, ...environment.options });
    expect(texts(again.replay())).toEqual(appended);
    again.closeSync();
  },
);

test('wherever in a block a record ends, the next one of the same group is read', () => {
  const io = createMemoryStorageIo();
  const environment = new TestEnvironment(7);
  const config = { directory: DIRECTORY, io, blockBytes: 512, ...environment.options };
  const wal = SegmentedWal.openSync(config);
  const appended: string[] = [];
  // Each pair of records, of 512 bytes with their headers, moves the ends of both by one byte.
  for (let pair = 0; pair < 600; pair++) {
    for (const length of [201, 512 - 2 * 32 - 200]) {
      const text = `${pair} `.padEnd(length, 'x');
      appended.push(text);
      wal.append(text);
    }
  }
  wal.closeSync();
  const again = SegmentedWal.openSync(config);
  expect(texts(again.replay())).toEqual(appended);
  again.closeSync();
});
