import { replayDirectory, type WalRecord } from '@walstack/mmap-reader';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';
import { makeChain, plain, writeSegments } from './support/segments.js';

/** Payloads of every length about which copies differ: none, a few, and those that have memory of their own. */
const LENGTHS = [0, 1, 7, 8, 9, 100, 2047, 2048, 2049, 8192, 10_000];

const payloadOf = (lsn: number): string =>
  String.fromCharCode(97 + (lsn % 26)).repeat(LENGTHS[lsn % LENGTHS.length] ?? 0);

function records(): WalRecord[] {
  const directory = temporaryDirectory();
  const meta = (lsn: number): string => 'm'.repeat(lsn % 3);
  writeSegments(
    directory,
    makeChain([150, 150], (lsn) => ({ ...plain(lsn), meta: meta(lsn), payload: payloadOf(lsn) })),
  );
  return [...replayDirectory(directory)];
}

const contents = (found: readonly WalRecord[]): string[] => found.map(({ payload }) => text(payload));

describe('copies', () => {
  it('stay as they are while others are made, and share no byte', () => {
    const found = records();
    const again = records();
    for (const { meta, payload } of again) {
      meta.fill(0x21);
      payload.fill(0x21);
    }
    expect(contents(found)).toEqual(found.map(({ lsn }) => payloadOf(lsn)));
    expect(found.map(({ meta }) => meta.length)).toEqual(found.map(({ lsn }) => lsn % 3));
  });

  it('long ones have memory of their own, and short ones no more than 8 KiB together', () => {
    for (const { payload } of records()) {
      const { byteLength } = payload.buffer;
      if (payload.length > 2048) expect(byteLength).toBe(payload.length);
      else expect(byteLength).toBeLessThanOrEqual(8192);
    }
  });

  it('are those of their records in files that are read in several pieces', () => {
    const directory = temporaryDirectory();
    const payload = (lsn: number): string => `payload of ${lsn}`.padEnd(60 + (lsn % 90), '.');
    writeSegments(
      directory,
      makeChain([5000, 5000], (lsn) => ({ ...plain(lsn), payload: payload(lsn) })),
    );
    const found = contents([...replayDirectory(directory)]);
    expect(found).toEqual(Array.from({ length: 10_000 }, (_, index) => payload(index + 1)));
  });

  it('transferring one to another thread does not detach the others', () => {
    const found = records();
    for (const { payload } of found.filter(({ payload: { length } }) => length > 0 && length <= 2048)) {
      try {
        structuredClone(payload, { transfer: [payload.buffer as ArrayBuffer] });
      } catch (error) {
        // Node.js refuses it from version 21 on, and copies before.
        expect((error as Error).name).toBe('DataCloneError');
      }
    }
    expect(contents(found)).toEqual(found.map(({ lsn }) => payloadOf(lsn)));
  });
});
