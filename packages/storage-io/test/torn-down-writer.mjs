// Writes through a ring, in all ways at once, until the thread is torn down.
import { parentPort, workerData } from 'node:worker_threads';
import { CompletionBuffer, createIoUringStorageIo } from '@walstack/storage-io';

const io = createIoUringStorageIo({ registeredBuffers: 2 });
const file = io.open(workerData.path, { create: true, direct: true });
const buffered = io.open(`${workerData.path} buffered`, { create: true });
const memory = io.allocateBuffer(65_536).fill(7);
const out = new CompletionBuffer(64);
let block = 0;

const submit = () => {
  block = (block + 1) % 64;
  if (block % 8 === 0) io.submitAppend(buffered, new Uint8Array(10_000));
  else if (block % 8 === 1) io.submitDatasync(buffered);
  else if (block % 8 === 2) io.submitRead(buffered, new Uint8Array(50_000), 0);
  else io.submitWrite(file, memory, block * 65_536, { durable: block % 2 === 0 });
};

io.onReady(() => {
  const count = io.pollCompletions(out);
  for (let index = 0; index < count; index++) submit();
});
for (let depth = 0; depth < 16; depth++) submit();
io.flush();
parentPort.postMessage('writing');
