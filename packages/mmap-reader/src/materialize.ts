import { RecordFlag, WalError } from '@walstack/codec';
import type { Frames } from './frames.js';
import type { WalRecord } from './wal-record.js';

/**
 * The record that was stepped to.
 *
 * @param copy - copies of meta and payload, instead of views of the memory that they are in
 */
export function materialize(frames: Frames, copy: boolean): WalRecord {
  if ((frames.flags & (RecordFlag.compressed | RecordFlag.encrypted)) !== 0) throw notReadable(frames);
  const meta = frames.meta();
  const payload = frames.payload();
  return {
    lsn: frames.lsn,
    type: frames.type,
    meta: copy ? meta.slice() : meta,
    payload: copy ? payload.slice() : payload,
    scope: frames.scope,
    timestampMs: frames.timestampMs,
  };
}

function notReadable({ lsn }: Frames): WalError {
  return new WalError(
    'WAL_UNSUPPORTED',
    `the record with LSN ${lsn} is compressed or encrypted, which this version does not read: use a later one`,
    { lsn, reason: 'transformed-payload' },
  );
}
