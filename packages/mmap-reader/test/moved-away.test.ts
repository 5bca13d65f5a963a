import { replayDirectory } from '@walstack/mmap-reader';
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';
import { makeChain, writeSegments } from './support/segments.js';

const moveAway = (buffer: ArrayBuffer & { transfer?: () => ArrayBuffer }): ArrayBuffer =>
  buffer.transfer?.() ?? structuredClone(buffer, { transfer: [buffer] });

const payloadOf = (lsn: number): string => `${lsn} `.padEnd(400 + (lsn % 7), 'x');

it.each([1, 2])(
  'a scan reads again what the application transfers away, wherever in a segment: %i workers',
  async (workers) => {
    const directory = temporaryDirectory();
    // The first segment is read in several pieces.
    writeSegments(
      directory,
      makeChain([8000, 500, 10], (lsn) => ({ payload: payloadOf(lsn) })),
    );
    let lsn = 0;
    await replayDirectory(directory, { workers }).scan(({ payload }) => {
      lsn++;
      if (text(payload) !== payloadOf(lsn)) expect(text(payload)).toBe(payloadOf(lsn));
      if (lsn % 397 === 0) moveAway(payload.buffer as ArrayBuffer);
    });
    expect(lsn).toBe(8510);
  },
);
