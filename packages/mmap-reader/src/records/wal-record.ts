import type { Lsn, RecordScope } from '@walstack/codec';

/** A record as it is read back. */
export interface WalRecord {
  readonly lsn: Lsn;
  /** A number of the application; 0 by default. */
  readonly type: number;
  /** Additional bytes of the application; empty by default. */
  readonly meta: Uint8Array;
  readonly payload: Uint8Array;
  /** The ids of the record's owner; `undefined` for a record that was appended without ids. */
  readonly scope: RecordScope | undefined;
  /** When it was appended, milliseconds since the Unix epoch, by the clock of the writer. */
  readonly timestampMs: number;
}
