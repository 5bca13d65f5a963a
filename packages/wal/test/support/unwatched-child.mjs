// Follows a log where the operating system has no watches left, and prints two events.
// node unwatched-child.mjs DIRECTORY
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

fs.watch = () => {
  throw Object.assign(new Error('no watches left'), { code: 'ENOSPC' });
};
syncBuiltinESMExports();
const { Wal } = await import('@walstack/wal');

let count = 0;
for await (const { payload } of Wal.follow(process.argv[2], 1, { encoding: 'utf8', pollMs: 20 })) {
  fs.writeSync(1, `${payload}\n`);
  if (++count === 2) break;
}
