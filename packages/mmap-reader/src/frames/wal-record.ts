import type { Lsn, RecordScope } from '@walstack/codec';

/** A record as it is read back. */
export interface WalRecord {
  readonly lsn: Lsn;
  /** The application's own number, 0 unless it gave one. */
  readonly type: number;
  /** Empty unless the application gave one. */
  readonly meta: Uint8Array;
  readonly payload: Uint8Array;
  /** Whose record it is; `undefined` for a record that was appended without any id. */
  readonly scope: RecordScope | undefined;
  /** When it was appended, milliseconds since the Unix epoch, by the clock of the writer. */
  readonly timestampMs: number;
}
