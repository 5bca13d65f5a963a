import type { PayloadDecoder } from '@walstack/codec';
import type { Frames } from '../frames/frames.js';
import { copyOf } from './small-copies.js';
import type { WalRecord } from './wal-record.js';

/**
 * Decodes the current record.
 *
 * @param decoder - the decoder of its segment
 * @param copy - return copies of meta and payload instead of views, where the memory contains them as they were
 * appended
 * @throws what {@link PayloadDecoder.decode} throws; `WAL_CORRUPT` when the memory could not be read
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
