// Appends frames to a file in batches, and says how many are durable, until it is killed.
import process from 'node:process';
import { PortableWalWriter } from '@walstack/storage-io';

const [path, io, first] = process.argv.slice(2);
const writer = await PortableWalWriter.open(path, { io, framed: true, blockBytes: 512, maxBatchBytes: 2000 });
for (let number = Number(first); ; ) {
  const batch = 1 + (number % 7);
  for (const end = number + batch; number < end; number++) {
    void writer.appendWithChecksumBatched(`${number}:${'x'.repeat((number * 37) % 700)}`);
  }
  await writer.flushBatch();
  process.stdout.write(`${number}\n`);
}
