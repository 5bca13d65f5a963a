/** Reads the log in a given directory, whichever process writes it, without changing anything. */
import { replayDirectory } from '@walstack/mmap-reader';

let records = 0;
let bytes = 0;
for (const { payload } of replayDirectory(process.argv[2] ?? '.', { copy: false })) {
  records++;
  bytes += payload.length;
}
console.log(`read from a log: ${records} records, ${bytes} bytes`);
