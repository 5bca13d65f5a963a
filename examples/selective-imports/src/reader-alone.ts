/** Reads the log in the directory that it is given, whoever writes it. */
import { LogTail } from '@walstack/mmap-reader';
import { openStorageIo } from '@walstack/storage-io';

const io = openStorageIo();
const tail = new LogTail(io, process.argv[2] ?? '.', { copy: false });
let records = 0;
let bytes = 0;
while (await tail.advance()) {
  for (let record = tail.next(); record !== undefined; record = tail.next()) {
    records++;
    bytes += record.payload.length;
  }
}
tail.close();
await io.dispose();
console.log(`read from a log: ${records} records, ${bytes} bytes`);
