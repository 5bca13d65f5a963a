import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ringSupport } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

const canTrace = spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status === 0;
const COMMITS = 20;

/** Commits one record after another, and says what the backend has counted between the first and the last. */
const PROGRAM = `
  import { openStorageIo } from '@walstack/storage-io';
  import { SegmentedWal } from '@walstack/segmented';
  import { mkdirSync } from 'node:fs';
  const [backend, directory] = process.argv.slice(1);
  const io = openStorageIo(backend);
  const wal = await SegmentedWal.open({ directory, io, markAfterMs: 0, preallocate: 'none' });
  wal.append('the first one makes the segment');
  await wal.sync();
  const before = io.stats();
  mkdirSync(directory + '-begins');
  for (let commit = 0; commit < ${COMMITS}; commit++) {
    wal.append('record ' + commit);
    await wal.sync();
  }
  mkdirSync(directory + '-ends');
  const after = io.stats();
  const { ring } = after;
  process.stdout.write(JSON.stringify({
    submitted: after.submitted - before.submitted,
    syncs: after.syncs - before.syncs,
    enters: ring === undefined ? 0 : ring.enters - before.ring.enters,
  }));
  await wal.close();
  await io.dispose();
`;

/** What the program did between the two directories that it makes: its own count, and that of the system. */
function traced(backend: string) {
  const directory = temporaryDirectory();
  const trace = join(directory, 'trace');
  const calls = 'trace=mkdir,mkdirat,io_uring_enter,fdatasync,fsync,pwrite64,pwritev,pwritev2,write';
  const program = ['--input-type=module', '--eval', PROGRAM, backend, join(directory, 'log')];
  const { stdout, stderr, status } = spawnSync(
    'strace',
    ['-f', '-qq', '-s', '512', '-o', trace, '-e', calls, process.execPath, ...program],
    { encoding: 'utf8', cwd: import.meta.dirname },
  );
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  const lines = readFileSync(trace, 'utf8').split('\n');
  const [begins, ends] = ['-begins"', '-ends"'].map((name) => lines.findIndex((line) => line.includes(name)));
  const between = lines.slice(begins, ends);
  // A call that another thread interrupts stands in two lines, of which the second has no parenthesis behind its name.
  const count = (name: string): number => between.filter((line) => line.includes(` ${name}(`)).length;
  return { counted: JSON.parse(stdout), count };
}

describe.runIf(canTrace)('the system calls of commits one after another', () => {
  test.runIf(ringSupport().available)('io-uring: durable writes, no sync and no write beside them', () => {
    const { counted, count } = traced('io-uring');
    expect(counted).toMatchObject({ submitted: COMMITS, syncs: COMMITS });
    expect([count('fdatasync'), count('fsync'), count('pwrite64'), count('pwritev2')]).toEqual([0, 0, 0, 0]);
    expect(count('io_uring_enter')).toBe(counted.enters);
    expect(counted.enters).toBeGreaterThanOrEqual(COMMITS);
  });

  test('sync-fs: one write and one datasync for each', () => {
    const { counted, count } = traced('sync-fs');
    expect(counted).toMatchObject({ submitted: 2 * COMMITS, syncs: COMMITS });
    expect([count('fdatasync'), count('pwrite64'), count('io_uring_enter')]).toEqual([COMMITS, COMMITS, 0]);
  });
});
