// Locks the path given, says what came of it, and keeps what it got. It is told to release it, to lock once more in the
// same thread, or to exit.
import { createSyncFsStorageIo } from '@walstack/storage-io';

const path = process.argv[2];
const tell = (what) => console.log(JSON.stringify({ ...what, pid: process.pid }));

function lock() {
  try {
    const release = createSyncFsStorageIo().lock(path);
    tell({ locked: true });
    return release;
  } catch ({ code, holder, reason, message }) {
    tell({ locked: false, code, holder, reason, message });
    return undefined;
  }
}

let release = lock();
process.stdin.on('data', (line) => {
  const word = line.toString().trim();
  if (word === 'lock') release = lock() ?? release;
  else if (word === 'release') {
    release();
    tell({ released: true });
  } else process.exit(0);
});
