import type { WalRecord } from '@walstack/segmented';
import { expect, test } from 'vitest';
import { ENTRY_HEADER_BYTES, OperationCode, writeEntryHeader } from '../src/core/entries/entry.js';
import { EntryDecoder } from '../src/core/entries/entry-reader.js';

/** The record of a put in the log of core 2. */
function put(lsn: number, epoch: number, timestampUs: number): WalRecord {
  const payload = new Uint8Array(ENTRY_HEADER_BYTES + 1);
  writeEntryHeader(new DataView(payload.buffer), OperationCode.put, 2, epoch, lsn, timestampUs);
  return { lsn, type: OperationCode.put, meta: new Uint8Array(1), payload, scope: undefined, timestampMs: 0 };
}

const decoder = (toEpoch = Number.POSITIVE_INFINITY): EntryDecoder => new EntryDecoder(2, '/log', toEpoch);
const backwards = (lsn: number) => expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'order', path: '/log', lsn });

test('entries of the same time and epoch, or later ones, are accepted', () => {
  const entries = decoder();
  for (const record of [put(1, 1, 10), put(2, 1, 10), put(3, 1, 11), put(4, 3, 11)]) {
    expect(entries.decode(record)).toMatchObject({ sequence: record.lsn });
  }
});

test.each([
  ['time goes back', put(3, 1, 10)],
  ['time goes back, in a later epoch', put(3, 2, 10)],
  ['epoch goes back', put(3, 0, 11)],
])('an entry whose %s is rejected', (_what, record) => {
  const entries = decoder();
  entries.decode(put(1, 1, 10));
  entries.decode(put(2, 1, 11));
  expect(() => entries.decode(record)).toThrow(backwards(3));
});

test('entries past the last epoch are not decoded', () => {
  const entries = decoder(1);
  expect(entries.decode(put(1, 1, 10))).toMatchObject({ epoch: 1 });
  expect(entries.isPastLastEpoch).toBe(false);
  expect(entries.decode(put(2, 2, 10))).toBeUndefined();
  expect(entries.isPastLastEpoch).toBe(true);
});
