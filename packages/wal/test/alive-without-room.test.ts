import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** The room comes back by a timer that does not keep the process alive: the call that waits has to. */
const PROGRAM = `
  import { SimulatedDisk } from '@walstack/storage-io/simulation';
  import { Wal } from '@walstack/wal';
  const disk = new SimulatedDisk();
  const wal = await Wal.open('/log', {
    io: disk.createStorageIo({ completesInline: false }),
    blockBytes: 512,
    markAfterMs: 0,
    preallocate: 'none',
    reserveBytes: 0,
  });
  await wal.commit('one');
  disk.capacityBytes = disk.usedBytes;
  const { lsn } = await wal.commit('two '.repeat(1000)).catch((error) => error);
  setTimeout(() => { disk.capacityBytes = Number.POSITIVE_INFINITY; }, 100).unref();
  await wal.durable(lsn);
  console.log('durable', wal.durableLsn);
`;

test('a process that waits with durable() for room on the disk does not end before it is there', () => {
  const program = ['--input-type=module', '--eval', PROGRAM];
  expect(execFileSync(process.execPath, program, { cwd: import.meta.dirname, encoding: 'utf8' })).toBe('durable 2\n');
});
