import { LogTail } from '@walstack/mmap-reader';
import { createThreadPoolStorageIo } from '@walstack/storage-io';
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { makeChain, writeSegments } from './support/segments.js';

it('a tail refuses to look for records while it is looking, and each record comes once', async () => {
  const directory = temporaryDirectory();
  writeSegments(directory, makeChain([40, 1, 300, 25]));
  const io = createThreadPoolStorageIo();
  const tail = new LogTail(io, directory);
  const found: number[] = [];
  let refused = 0;
  for (let isThere = true; isThere; ) {
    // A call that needs nothing of the disk is over at once, and the next one takes its turn.
    const answers = await Promise.allSettled([tail.advance(), tail.advance(), tail.advance()]);
    isThere = answers.some((answer) => answer.status === 'fulfilled' && answer.value);
    for (const answer of answers) {
      if (answer.status === 'fulfilled') continue;
      expect(answer.reason).toMatchObject({ code: 'WAL_STATE', path: directory, state: 'advancing' });
      refused++;
    }
    for (let record = tail.next(); record !== undefined; record = tail.next()) found.push(record.lsn);
  }
  expect(refused).toBeGreaterThan(0);
  expect(found).toEqual(Array.from({ length: 366 }, (_, index) => index + 1));
  tail.close();
  await io.dispose();
});
