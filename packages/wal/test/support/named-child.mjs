// Follows a log under a name, prints the first and the last LSN of each array of events, and only then acknowledges it.
// node named-child.mjs DIRECTORY NAME
import { writeSync } from 'node:fs';
import { Wal } from '@walstack/wal';

const [directory, name] = process.argv.slice(2);
const follower = Wal.follow(directory, 'stored', { name, batch: 100, encoding: 'utf8' });
for await (const events of follower) {
  const wrong = events.find(({ lsn, payload }) => payload !== `event ${lsn}`.padEnd(100, '.'));
  writeSync(1, wrong === undefined ? `${events[0].lsn} ${events.at(-1).lsn}\n` : `wrong ${wrong.lsn}\n`);
  await follower.acknowledge();
}
