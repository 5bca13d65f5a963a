import type { PayloadDecoder } from '@walstack/codec';
import type { Frames } from './frames.js';
import { copyOf } from './small-copies.js';
import type { WalRecord } from './wal-record.js';

/**
 * The record that was stepped to.
 *
 * @param decoder - of its segment
 * @param copy - copies of meta and payload, instead of views of the memory that they are in, where they stand there as
 * they were appended
 * @throws what {@link PayloadDecoder.decode} throws; `WAL_CORRUPT` when the memory could not be read meanwhile
 */
export function decodeRecord(frames: Frames, decoder: PayloadDecoder, copy: boolean): WalRecord {
  const { lsn, type, scope, timestampMs } = frames;
  if (decoder.transforms(frames.flags)) {
    const { meta, payload } = frames.decode(decoder);
    return { lsn, type, meta, payload, scope, timestampMs };
  }
  const meta = frames.meta();
  const payload = frames.payload();
  const record = copy
    ? { lsn, type, meta: copyOf(meta), payload: copyOf(payload), scope, timestampMs }
    : { lsn, type, meta, payload, scope, timestampMs };
  frames.checkRead();
  return record;
}
