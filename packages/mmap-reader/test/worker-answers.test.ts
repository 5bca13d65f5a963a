import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { makeChain, writeSegments } from './support/segments.js';

/** Replays a directory, and counts what the thread that reads has read itself. */
const PROGRAM = `
  import { replayDirectory } from '@walstack/mmap-reader';
  import { createSyncFsStorageIo } from '@walstack/storage-io';
  const [directory, workers] = process.argv.slice(1);
  const io = createSyncFsStorageIo();
  let wrong = 0;
  const count = await replayDirectory(directory, { io, workers: Number(workers) }).forEach(({ lsn, payload }) => {
    if (Buffer.from(payload).toString() !== \`\${lsn} \`.padEnd(900, 'x')) wrong++;
  });
  console.log(JSON.stringify({ count, wrong, bytesRead: io.stats().bytesRead }));
`;

it('without mappings sealed segments are read by the workers alone, and what they have found is used', () => {
  const directory = temporaryDirectory();
  const payload = (lsn: number): string => `${lsn} `.padEnd(900, 'x');
  writeSegments(
    directory,
    makeChain([3000, 700, 1, 10], (lsn) => ({ payload: payload(lsn) })),
  );
  const replayed = (workers: number): { count: number; wrong: number; bytesRead: number } => {
    const args = ['--input-type=module', '--eval', PROGRAM, directory, `${workers}`];
    const env = { ...process.env, WALSTACK_NATIVE: '0' };
    return JSON.parse(execFileSync(process.execPath, args, { env, encoding: 'utf8', cwd: import.meta.dirname }));
  };
  const sizes = readdirSync(directory).map((name) => statSync(join(directory, name)).size);
  const all = sizes.reduce((sum, size) => sum + size);
  const [alone, helped] = [replayed(0), replayed(2)];
  expect([alone.count, alone.wrong, helped.count, helped.wrong]).toEqual([3711, 0, 3711, 0]);
  expect(alone.bytesRead).toBeGreaterThan(all * 0.9);
  // Headers, and the newest segment.
  expect(helped.bytesRead).toBeLessThan(all * 0.1);
});
