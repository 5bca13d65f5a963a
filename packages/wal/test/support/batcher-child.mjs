// Commits batches of ten events without end, four at a time, and reports the last LSN of each that was acknowledged, at
// once. node batcher-child.mjs DIRECTORY
import { writeSync } from 'node:fs';
import { Wal } from '@walstack/wal';

const [directory] = process.argv.slice(2);
const wal = await Wal.open(directory, { segmentBytes: 16 * 1024, encoding: 'json' });

/** Waits while the reader does not read. */
const report = (line) => {
  for (;;) {
    try {
      return writeSync(1, line);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
};

const commitForEver = async () => {
  for (;;) {
    const batch = wal.batch();
    for (let each = 0; each < 10; each++) batch.add({ of: 10, index: each, filler: 'x'.repeat(100) });
    report(`${await wal.commitBatch(batch)}\n`);
  }
};
await Promise.all(Array.from({ length: 4 }, commitForEver));
