import { RecordFlag } from '@walstack/codec';
import { replayDirectory } from '@walstack/mmap-reader';
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { makeChain, makeSegment, plain, writeSegments } from './support/segments.js';

const corrupt = (reason: string) => expect.objectContaining({ code: 'WAL_CORRUPT', reason });

/** All ways to read a directory. */
const WAYS: readonly (readonly [string, (directory: string) => unknown])[] = [
  ['a loop', (directory) => [...replayDirectory(directory)]],
  [
    'an asynchronous loop',
    async (directory) => {
      for await (const { lsn } of replayDirectory(directory)) expect(lsn).toBeGreaterThan(0);
    },
  ],
  ['a function', (directory) => replayDirectory(directory).forEach(() => {})],
  [
    'a cursor',
    (directory) => {
      const cursor = replayDirectory(directory).cursor();
      try {
        while (cursor.next());
      } catch (error) {
        // It is said again, and not taken for the end.
        expect(() => cursor.next()).toThrow(error as Error);
        throw error;
      } finally {
        cursor.close();
      }
    },
  ],
];

const outcomeOf = async (read: () => unknown): Promise<unknown> => {
  try {
    return await read();
  } catch (error) {
    return error;
  }
};

it.each(WAYS)('a valid frame with another LSN than the one that follows is refused by %s', async (_name, read) => {
  const directory = temporaryDirectory();
  const chain = makeChain([10, 10, 10], (lsn) => (lsn === 15 ? { ...plain(lsn), lsn: 17 } : plain(lsn)));
  writeSegments(directory, chain);
  expect(await outcomeOf(() => read(directory))).toEqual(corrupt('hole-before-successor'));
});

it.each(WAYS)('a valid frame with fields that cannot be there is refused by %s', async (_name, read) => {
  for (const [flags, reason] of [
    [64, 'unknown-flags'],
    [RecordFlag.encrypted, 'impossible-fields'],
  ] as const) {
    const directory = temporaryDirectory();
    writeSegments(
      directory,
      makeChain([10, 10, 10], (lsn) => (lsn === 15 ? { ...plain(lsn), flags } : plain(lsn))),
    );
    expect(await outcomeOf(() => read(directory))).toMatchObject({ name: 'WalError', reason });
  }
});

it.each(WAYS)('a segment that is another one than its successor continues is refused by %s', async (_name, read) => {
  const directory = temporaryDirectory();
  const first = makeSegment({ records: [plain(1)] });
  const predecessor = { number: 1, id: first.header.segmentId.map((byte) => byte ^ 1) };
  writeSegments(directory, [first, makeSegment({ number: 2, firstLsn: 2, records: [plain(2)], predecessor })]);
  expect(await outcomeOf(() => read(directory))).toEqual(corrupt('other-segment'));
});
