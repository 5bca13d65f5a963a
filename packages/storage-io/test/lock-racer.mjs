// Tries to lock again and again, and makes sure that nobody else is inside whenever it is.
import { closeSync, openSync, unlinkSync } from 'node:fs';
import { createSyncFsStorageIo } from '@walstack/storage-io';

const [path, times] = process.argv.slice(2);
const io = createSyncFsStorageIo();
let entered = 0;
let refused = 0;
while (entered < Number(times)) {
  let release;
  try {
    release = io.lock(path);
  } catch (error) {
    if (error.code !== 'WAL_LOCKED') throw error;
    refused += 1;
    continue;
  }
  // Fails when another process is inside.
  closeSync(openSync(`${path}.inside`, 'wx'));
  entered += 1;
  unlinkSync(`${path}.inside`);
  release();
}
console.log(JSON.stringify({ entered, refused }));
