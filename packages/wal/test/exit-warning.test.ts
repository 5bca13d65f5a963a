import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import process from 'node:process';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

/** Runs a program that opens a log named `wal`. */
function run(program: string, ...flags: readonly string[]): SpawnSyncReturns<string> {
  const source = `
    import { Wal } from '@walstack/wal';
    const wal = await Wal.open(${JSON.stringify(`${temporaryDirectory()}/log`)}, { io: 'sync-fs', flushDelayMs: 60_000 });
    ${program}`;
  const args = [...flags, '--input-type=module', '--eval', source];
  return spawnSync(process.execPath, args, { cwd: import.meta.dirname, encoding: 'utf8' });
}

const warnings = ({ stderr }: SpawnSyncReturns<string>): string[] =>
  stderr.split('\n').filter((line) => line.includes('WAL_EXIT_PENDING'));

describe('a process that ends with work pending warns once', () => {
  test.each([
    ['by itself', `wal.append('lost');`],
    [
      'by itself, going on for a while',
      `wal.append('lost'); process.once('beforeExit', () => setTimeout(() => {}, 1));`,
    ],
    ['by process.exit', `wal.append('lost'); process.exit();`],
    ['by process.exit before a commit is through', `wal.commit('lost'); process.exit();`],
    [
      'by process.exit before the log is closed',
      `wal.append('lost'); wal.flush(); wal.append('lost'); wal.close(); process.exit();`,
    ],
  ])('that ends %s', (_how, program) => {
    const ended = run(program);
    expect(ended.status).toBe(0);
    expect(warnings(ended)).toHaveLength(1);
    expect(warnings(ended)[0]).toMatch(
      /\[WAL_EXIT_PENDING\] WalWarning: the process ends with \d+ bytes pending and [01] commits waiting in the log in .*log/,
    );
  });

  test('but not when warnings are off', () => {
    expect(run(`wal.append('lost');`, '--no-warnings').stderr).toBe('');
  });

  test.each([
    ['nothing was appended', ''],
    ['everything was flushed', `wal.append('a'); await wal.flush();`],
    ['all is durable', `await wal.commit('a');`],
    ['the log was shut down', `wal.append('a'); await wal.shutdown();`],
    ['the log was closed', `wal.append('a'); await wal.close({ discard: true });`],
    [
      'the log is being closed, and drops what is pending',
      `wal.append('a'); wal.close({ discard: true }); process.exit();`,
    ],
  ])('not when %s', (_what, program) => {
    expect(run(program).stderr).toBe('');
  });
});

test('logs listen to the end of the process together, and not when they are closed', async () => {
  const listeners = (): number[] => [process.listenerCount('beforeExit'), process.listenerCount('exit')];
  const [before = 0, exit = 0] = listeners();
  const logs = await Promise.all(
    Array.from({ length: 20 }, () => Wal.open(`${temporaryDirectory()}/log`, { io: 'sync-fs' })),
  );
  expect(listeners()).toEqual([before + 1, exit + 1]);
  await Promise.all(logs.map((wal, index) => (index % 2 === 0 ? wal.close() : wal.shutdown())));
  expect(listeners()).toEqual([before, exit]);
});
