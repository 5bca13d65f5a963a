import { writeSync } from 'node:fs';
import { Wal } from '@walstack/wal';
import { optionsFor } from './line-event.js';
import { linesOf } from './lines.js';

/**
 * The process that is killed: continues after the last line in the log, commits line after line, several at a time, and
 * reports each acknowledged line at once on file descriptor 3, with a synchronous write.
 *
 * node committer.js LOG FILE IN_FLIGHT
 */
const [log, file, inFlight] = process.argv.slice(2) as [string, string, string];

const report = (message: string): void => {
  try {
    writeSync(3, `${message}\n`);
  } catch {
    // The reader of the reports has ended.
    process.exit(1);
  }
};

const wal = await Wal.open(log);
report(`open ${wal.stats().backend}`);

let number = 0;
const underWay = new Set<Promise<void>>();
for await (const line of linesOf(file)) {
  number++;
  // A line's number is its LSN, so the log itself shows where to continue.
  if (number <= wal.recovery.lastLsn) continue;
  const committed = wal.commit(line.bytes, optionsFor(line, number)).then((lsn) => report(`ack ${lsn}`));
  const done = committed.finally(() => underWay.delete(done));
  underWay.add(done);
  if (underWay.size >= Number(inFlight)) await Promise.race(underWay);
}
await Promise.all(underWay);
await wal.shutdown();
report('end');
