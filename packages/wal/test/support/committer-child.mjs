// Commits events without end, eight at a time, and reports each that was acknowledged, at once, by a write that has
// happened when it returns. node committer-child.mjs DIRECTORY BACKEND
import { writeSync } from 'node:fs';
import { Wal } from '@walstack/wal';

const [directory, io] = process.argv.slice(2);
const wal = await Wal.open(directory, { io, segmentBytes: 16 * 1024 });

const commitForEver = async () => {
  for (;;) {
    const lsn = await wal.commit(`event ${wal.lastLsn + 1}`.padEnd(150, '.'));
    writeSync(1, `${lsn}\n`);
  }
};
await Promise.all(Array.from({ length: 8 }, commitForEver));
