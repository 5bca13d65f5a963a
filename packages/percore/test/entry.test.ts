import { readFileSync } from 'node:fs';
import { CoreWalWriter, PerCoreRecovery } from '@walstack/percore';
import type { WalRecord } from '@walstack/segmented';
import { createMemoryStorageIo, ioSteps, runSync, type StorageIo } from '@walstack/storage-io';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeEntry } from '../src/core/entries/entry.js';

const settings = {
  blockBytes: 512,
  now: () => 1_700_000_000_123.25,
  randomBytes: (bytes: number) => Uint8Array.from({ length: bytes }, (_, index) => 16 + index),
};

function bytesOfSegment(io: StorageIo): Uint8Array {
  const name = io.list('/log/core-2').find((each) => each.startsWith('wal-')) as string;
  const file = io.open(`/log/core-2/${name}`);
  const bytes = new Uint8Array(io.size(file));
  runSync(io, ioSteps.read(io, file, bytes, 0));
  io.close(file);
  return bytes;
}

test('the example in docs/format.md is what a writer writes', () => {
  const page = readFileSync(new URL('../../../docs/format.md', import.meta.url), 'utf8');
  const [, dump = ''] = /```text\n(0200 {2}[^`]*)```/.exec(page) ?? [];
  const expected = dump.split('\n').flatMap((line) => line.split(/ +/).slice(1));
  expect(expected.length).toBe(137);
  const io = createMemoryStorageIo();
  const writer = CoreWalWriter.openSync(2, '/log', { io, ...settings });
  writer.epoch = 7;
  writer.appendPut('key', 'value');
  writer.flushSync();
  const written = [...bytesOfSegment(io).subarray(512)].map((byte) => byte.toString(16).padStart(2, '0'));
  expect(written.slice(0, expected.length)).toEqual(expected);
  expect(bytesOfSegment(io)[72]).toBe(3);
  writer.closeSync();
});

describe('an invalid entry', () => {
  /** The record of a put, and the same with some bytes changed. */
  function record(changes: Readonly<Record<number, number>> = {}, type = 1, lsn = 2): WalRecord {
    const io = createMemoryStorageIo();
    const writer = CoreWalWriter.openSync(2, '/log', { io, ...settings });
    writer.epoch = 7;
    writer.appendPut('key', 'value');
    writer.flushSync();
    const payload = bytesOfSegment(io).slice(0x264, 0x289);
    for (const [at, value] of Object.entries(changes)) payload[Number(at)] = value;
    const meta = new TextEncoder().encode('key');
    return { lsn, type, meta, payload, scope: undefined, timestampMs: 0 };
  }

  test('the unchanged record is valid', () => {
    expect(decodeEntry(record(), 2, '/log')).toMatchObject({ operation: 'put', epoch: 7, sequence: 2, coreId: 2 });
  });

  test.each<readonly [string, WalRecord, string]>([
    ['of another core', record({ 4: 3 }), 'WAL_CORRUPT'],
    ['of another sequence', record({ 16: 3 }), 'WAL_CORRUPT'],
    ['of another operation than its record', record({}, 2), 'WAL_CORRUPT'],
    ['of an epoch that is not a number', record({ 15: 255 }), 'WAL_CORRUPT'],
    ['of a time that is not a number', record({ 31: 255 }), 'WAL_CORRUPT'],
    ['of a later version', record({ 0: 2 }), 'WAL_UNSUPPORTED_VERSION'],
    ['of an unknown operation', record({ 1: 9 }, 9), 'WAL_UNSUPPORTED_VERSION'],
    ['that is a checkpoint without an id', record({ 1: 3 }, 3), 'WAL_CORRUPT'],
    ['that is a barrier without flags', record({ 1: 4 }, 4), 'WAL_CORRUPT'],
    ['that is a commit with truncated sources', record({ 1: 5 }, 5), 'WAL_CORRUPT'],
  ])('%s', (_what, one, code) => {
    expect(() => decodeEntry(one, 2, '/log')).toThrow(expect.objectContaining({ code, path: '/log', lsn: 2 }));
  });

  test('of any bytes is an entry or a WalError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.integer({ min: 0, max: 6 }), (bytes, type) => {
        // Often enough, the fields that are easy to get right are.
        const payload = Uint8Array.from([...record().payload.subarray(0, 32), ...bytes]);
        payload[1] = type;
        try {
          decodeEntry({ ...record(), type, payload }, 2, '/log');
        } catch (error) {
          expect(error).toMatchObject({ name: 'WalError' });
        }
      }),
    );
  });
});

test('any bytes of keys and values, and any offsets, are read back', () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  const offsets = fc.dictionary(fc.string(), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
  const watermark = fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { nil: undefined });
  fc.assert(
    fc.property(fc.array(fc.tuple(bytes, bytes), { maxLength: 10 }), offsets, watermark, (puts, sources, mark) => {
      const io = createMemoryStorageIo();
      const writer = CoreWalWriter.openSync(0, '/log', { io, segmentBytes: 1024, blockBytes: 512 });
      for (const [key, value] of puts) writer.appendPut(key, value);
      writer.appendCommit(sources, mark);
      writer.closeSync();
      using recovery = PerCoreRecovery.openSync({ directory: '/log', io });
      const found = [...recovery.entries()];
      expect(found.slice(0, -1)).toMatchObject(puts.map(([key, value]) => ({ operation: 'put', key, value })));
      expect(found.at(-1)).toMatchObject({ operation: 'commit', watermark: mark });
      expect(recovery.offsets).toEqual(new Map(Object.entries(sources)));
    }),
    { numRuns: 200 },
  );
});
