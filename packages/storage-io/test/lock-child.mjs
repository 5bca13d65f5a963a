// Locks the path given, says what came of it, and keeps what it got until it is told to release it or to exit.
import { createSyncFsStorageIo } from '@walstack/storage-io';

const io = createSyncFsStorageIo();
let release;
try {
  release = io.lock(process.argv[2]);
  console.log(JSON.stringify({ locked: true, pid: process.pid }));
} catch (error) {
  const { code, holder, reason, message } = error;
  console.log(JSON.stringify({ locked: false, pid: process.pid, code, holder, reason, message }));
}
process.stdin.on('data', (line) => {
  if (line.toString().trim() === 'release') {
    release();
    console.log(JSON.stringify({ released: true }));
  } else process.exit(0);
});
