import type { PayloadDecoder } from '@walstack/codec';
import type { Frames } from './frames.js';
import type { WalRecord } from './wal-record.js';

/**
 * The record that was stepped to.
 *
 * @param decoder - of its segment
 * @param copy - copies of meta and payload, instead of views of the memory that they are in, where they stand there as
 * they were appended
 * @throws what {@link PayloadDecoder.decode} throws
 */
export function materialize(frames: Frames, decoder: PayloadDecoder, copy: boolean): WalRecord {
  const { lsn, type, scope, timestampMs } = frames;
  if (decoder.transforms(frames.flags)) {
    const { meta, payload } = frames.decode(decoder);
    return { lsn, type, meta, payload, scope, timestampMs };
  }
  const meta = frames.meta();
  return {
    lsn,
    type,
    meta: copy && meta.length > 0 ? meta.slice() : meta,
    payload: copy ? frames.payloadCopy() : frames.payload(),
    scope,
    timestampMs,
  };
}
