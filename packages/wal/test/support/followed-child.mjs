// Commits events, and truncates up to the LSNs on its standard input, which were read.
// node followed-child.mjs DIRECTORY EVENTS SEGMENT_BYTES
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Wal } from '@walstack/wal';

const [directory, events, segmentBytes] = process.argv.slice(2);
const wal = await Wal.open(directory, { segmentBytes: Number(segmentBytes) });
writeSync(1, 'open\n');

let readLsn = 0;
const input = createInterface({ input: process.stdin }).on('line', (line) => {
  readLsn = Number(line);
});

const GROUP = 200;
let truncations = 0;
while (wal.lastLsn < Number(events)) {
  const count = Math.min(GROUP, Number(events) - wal.lastLsn);
  for (let each = 0; each < count; each++) wal.append(`event ${wal.lastLsn + 1}`.padEnd(100, '.'));
  await wal.durable(wal.lastLsn);
  if (readLsn < wal.firstLsn) continue;
  const { segmentsDeleted, segmentsRecycled } = await wal.truncateBefore(readLsn);
  if (segmentsDeleted + segmentsRecycled > 0) truncations++;
}
writeSync(1, `${wal.stats().rolls} ${truncations}\n`);
await wal.shutdown();
input.close();
