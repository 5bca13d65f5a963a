import { replayDirectory } from '@walstack/mmap-reader';
import { expect, it } from 'vitest';
import { makeChain, temporaryDirectory, text, writeSegments } from './support/segments.js';

const moveAway = (buffer: ArrayBuffer & { transfer?: () => ArrayBuffer }): ArrayBuffer =>
  buffer.transfer?.() ?? structuredClone(buffer, { transfer: [buffer] });

const payloadOf = (lsn: number): string => `${lsn} `.padEnd(300 + (lsn % 7), 'x');

it.each([1, 2])(
  'what the application transfers away is read again, wherever in a segment: %i workers',
  async (workers) => {
    const directory = temporaryDirectory();
    const chain = makeChain([3000, 2500, 10], (lsn) => ({ payload: payloadOf(lsn) }));
    writeSegments(directory, chain);
    let lsn = 0;
    await replayDirectory(directory, { workers, copy: false }).forEach(({ payload }) => {
      lsn++;
      if (text(payload) !== payloadOf(lsn)) expect(text(payload)).toBe(payloadOf(lsn));
      if (lsn % 397 === 0) moveAway(payload.buffer as ArrayBuffer);
    });
    expect(lsn).toBe(5510);
  },
);
