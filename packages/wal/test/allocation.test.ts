import { Session } from 'node:inspector/promises';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { Wal } from '@walstack/wal';
import { expect, test } from 'vitest';

const RECORDS = 200_000;
const RECORDS_A_TURN = 4000;

interface AllocationNode {
  readonly selfSize: number;
  readonly children: readonly AllocationNode[];
}

const bytesOf = (node: AllocationNode): number =>
  node.children.reduce((bytes, child) => bytes + bytesOf(child), node.selfSize);

/** Bytes of JavaScript memory that were allocated meanwhile, those included that are free again. */
async function allocatedBy(work: () => Promise<void>): Promise<number> {
  const session = new Session();
  session.connect();
  try {
    await session.post('HeapProfiler.startSampling', {
      samplingInterval: 1024,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    });
    await work();
    const { profile } = await session.post('HeapProfiler.stopSampling');
    return bytesOf(profile.head);
  } finally {
    session.disconnect();
  }
}

test('an append allocates nothing: only turns of the event loop and groups do', async () => {
  const wal = await Wal.open('/log', { io: createMemoryStorageIo(), flushBytes: 2 ** 20 });
  const payload = new Uint8Array(100);
  const appendAll = async () => {
    for (let record = 0; record < RECORDS; record += RECORDS_A_TURN) {
      for (let each = 0; each < RECORDS_A_TURN; each++) wal.append(payload);
      await wal.flush();
    }
  };
  // Until the code is optimized, numbers may be heap objects.
  await appendAll();
  const bytes = await allocatedBy(appendAll);
  await wal.close();
  // An object of any kind has at least 16 bytes.
  expect(bytes / RECORDS).toBeLessThan(8);
});
