// Follows a log under a name, acknowledges the first event, says so, and waits until it is killed.
// node follow-and-wait.mjs DIRECTORY NAME
import { writeSync } from 'node:fs';
import { Wal } from '@walstack/wal';

const [directory, name] = process.argv.slice(2);
const follower = Wal.follow(directory, 'stored', { name });
const { value } = await follower.next();
await follower.acknowledge();
writeSync(1, `${value.lsn}\n`);
setInterval(() => {}, 1000);
