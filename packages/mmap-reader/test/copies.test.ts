import { replayDirectory, type WalRecord } from '@walstack/mmap-reader';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';
import { type MadeRecord, makeChain, plain, textOf, writeSegments } from './support/segments.js';

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

/** Bytes of memory that payloads keep. */
function bytesKept(found: readonly WalRecord[]): number {
  const buffers = new Set(found.map(({ payload }) => payload.buffer));
  return [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

const transferred = (buffer: ArrayBufferLike): unknown =>
  structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });

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
        transferred(payload.buffer);
      } catch (error) {
        // Node.js refuses it from version 21 on, and copies before.
        expect((error as Error).name).toBe('DataCloneError');
      }
    }
    expect(contents(found)).toEqual(found.map(({ lsn }) => payloadOf(lsn)));
  });

  it.each([
    ['each in a block of its own', (): MadeRecord => ({ payload: 'ten bytes.', padded: true })],
    ['two in a block', (lsn: number): MadeRecord => ({ payload: 'ten bytes.', padded: lsn % 2 === 1 })],
    ['between long ones', (lsn: number): MadeRecord => ({ payload: 'ten bytes.'.repeat(lsn % 2 === 0 ? 1 : 500) })],
  ])('short ones keep no memory of what is around them: %s', (_where, record) => {
    const directory = temporaryDirectory();
    writeSegments(directory, makeChain([1000, 1], record));
    const found = [...replayDirectory(directory)].filter(({ payload }) => payload.length === 10);
    expect(new Set(contents(found))).toEqual(new Set(['ten bytes.']));
    // A small part of it is that of other records, in memory that was begun before.
    expect(bytesKept(found)).toBeLessThan(found.length * 16 + 3 * 8192);
  });

  it('records behind one whose memory the application has taken away are read', () => {
    const directory = temporaryDirectory();
    writeSegments(directory, makeChain([300, 1]));
    const found: string[] = [];
    for (const { lsn, payload } of replayDirectory(directory)) {
      found.push(text(payload));
      // Only newer versions of Node.js have it; it also takes what cannot be transferred to another thread.
      if (lsn % 50 === 5) (payload.buffer as { transfer?: () => unknown }).transfer?.();
    }
    expect(found).toEqual(Array.from({ length: 301 }, (_, index) => textOf(index + 1)));
  });

  it.each([{ copy: true }, { copy: false }])(
    'transferring empty ones leaves those of other records: %j',
    ({ copy }) => {
      const directory = temporaryDirectory();
      writeSegments(
        directory,
        makeChain([20, 20], (lsn) => ({ payload: lsn % 2 === 0 ? 'x'.repeat(lsn) : '' })),
      );
      const given: Uint8Array[] = [];
      for (const { meta, payload } of replayDirectory(directory, { copy })) {
        given.push(meta);
        // A payload that is a view has the memory of the file.
        for (const { length, buffer } of copy ? [meta, payload] : [meta]) {
          if (length > 0) continue;
          try {
            transferred(buffer);
          } catch (error) {
            expect((error as Error).name).toBe('DataCloneError');
          }
        }
      }
      for (const meta of given) expect(structuredClone(meta)).toEqual(new Uint8Array(0));
      for (const { meta } of replayDirectory(directory, { copy }))
        expect(structuredClone(meta)).toEqual(new Uint8Array(0));
      for (const { payload } of replayDirectory(directory)) expect(structuredClone(payload)).toEqual(payload);
    },
  );
});
