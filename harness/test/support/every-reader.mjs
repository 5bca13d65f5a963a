import { join } from 'node:path';
import { LogTail, MmapWalReader, replayDirectory } from '@walstack/mmap-reader';
import { PerCoreWalReader } from '@walstack/percore';
import { SegmentedWal } from '@walstack/segmented';
import { openStorageIo, readFrames } from '@walstack/storage-io';
import { Wal } from '@walstack/wal';

/** Each call that reads a log, and how many records it finds. The logs have `count` records each. */
const READERS = {
  'Wal.recover': async ({ log, io }) => (await Wal.recover(log, { recoveryMode: 'readonly', io })).records,
  'Wal.open': async ({ log, io }) => {
    const wal = await Wal.open(log, { recoveryMode: 'readonly', io });
    try {
      return await wal.replay('first', () => {});
    } finally {
      await wal.close();
    }
  },
  'Wal.follow': async ({ log, io, count }) => {
    let found = 0;
    for await (const _event of Wal.follow(log, 'first', { durableOnly: false, io })) if (++found === count) break;
    return found;
  },
  SegmentedWal: async ({ log, io }) => {
    const wal = await SegmentedWal.open({ directory: log, recoveryMode: 'readonly', io });
    const { records } = await wal.replayFromLimit(wal.firstLsn, 1_000_000);
    await wal.close();
    return records.length;
  },
  replayDirectory: async ({ log, backend }) => replayDirectory(log, { io: backend }).forEach(() => {}),
  LogTail: async ({ log, backend }) => {
    const tail = new LogTail(backend, log);
    let found = 0;
    while (await tail.advance()) while (tail.next() !== undefined) found++;
    tail.close();
    return found;
  },
  MmapWalReader: async ({ log, backend }) => {
    let found = 0;
    for (const name of backend.list(log).filter((each) => each.startsWith('wal-'))) {
      const reader = MmapWalReader.open(join(log, name));
      for (const _record of reader) found++;
      reader.close();
    }
    return found;
  },
  PerCoreWalReader: async ({ cores, backend }) => {
    const reader = await PerCoreWalReader.open(0, cores, { io: backend });
    let found = 0;
    for await (const { operation } of reader) if (operation === 'put') found++;
    await reader.close();
    return found;
  },
  readFrames: async ({ frames, backend }) => {
    let found = 0;
    for await (const _frame of readFrames(frames, { io: backend })) found++;
    return found;
  },
};

/**
 * Reads logs by every call that reads.
 *
 * @returns for each call how many records it has found, or the code of its error
 */
export async function readByEveryReader({ log, cores, frames, io, count }) {
  const backend = openStorageIo(io);
  const found = {};
  for (const [name, read] of Object.entries(READERS)) {
    try {
      found[name] = await read({ log, cores, frames, io, count, backend });
    } catch (error) {
      found[name] = `${error.code} ${error.systemCode}`;
    }
  }
  await backend.dispose();
  return found;
}
