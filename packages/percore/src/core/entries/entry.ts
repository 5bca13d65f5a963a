import { WalError } from '@walstack/codec';
import { getUint64, setUint64 } from '@walstack/codec/internal';
import type { WalRecord } from '@walstack/segmented';
import { type Committed, decodeCommit } from '../../commits/commit.js';

/** The operations of entries. Each code is also the type of the record that holds the entry. */
export const OperationCode = { put: 1, delete: 2, checkpoint: 3, epochBarrier: 4, commit: 5 } as const;

/** Bytes in front of an entry's value. */
export const ENTRY_HEADER_BYTES = 32;

const ENTRY_VERSION = 1;

/** Bits of a barrier's value: `LAST`, the core appends nothing more until it is opened again; `MANAGED`, a manager has the log. */
const LAST = 1;
const MANAGED = 2;

/** The place of an entry among those of all cores. */
export interface EntryPlace {
  readonly coreId: number;
  /** The epoch it belongs to. */
  readonly epoch: number;
  /** When it was appended, microseconds since the Unix epoch, by the clock of its core; never less than the one before. */
  readonly timestampUs: number;
  /** The LSN of the entry in the log of its core. */
  readonly sequence: number;
}

/** A key that was given a value. */
export interface PutEntry extends EntryPlace {
  readonly operation: 'put';
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A key that was removed. */
export interface DeleteEntry extends EntryPlace {
  readonly operation: 'delete';
  readonly key: Uint8Array;
}

/** A note of the application that a checkpoint was made. */
export interface CheckpointEntry extends EntryPlace {
  readonly operation: 'checkpoint';
  readonly checkpointId: number;
}

/** The end of an epoch in the log of one core: no entry of this epoch, or an earlier one, follows it. */
export interface EpochBarrierEntry extends EntryPlace {
  readonly operation: 'epochBarrier';
  /** The core appends nothing more until it is opened again: later epochs do not wait for it. */
  readonly last: boolean;
  /** It was appended under a manager: there is a manifest that names the core. */
  readonly managed?: true;
}

/** How far sources were read by the entries before it. */
export interface CommitEntry extends EntryPlace, Committed {
  readonly operation: 'commit';
}

/** An entry of a per-core log, as it is read. */
export type CoreEntry = PutEntry | DeleteEntry | CheckpointEntry | EpochBarrierEntry | CommitEntry;

/**
 * Writes the header of an entry at the beginning of `view`.
 *
 * @param operation - one of {@link OperationCode}
 */
export function writeEntryHeader(
  view: DataView,
  operation: number,
  coreId: number,
  epoch: number,
  sequence: number,
  timestampUs: number,
): void {
  view.setUint8(0, ENTRY_VERSION);
  view.setUint8(1, operation);
  view.setUint16(2, 0, true);
  view.setUint32(4, coreId, true);
  setUint64(view, 8, epoch);
  setUint64(view, 16, sequence);
  setUint64(view, 24, timestampUs);
}

/** The value of a barrier. */
export const encodeBarrier = (last: boolean, managed: boolean): Uint8Array =>
  Uint8Array.of((last ? LAST : 0) | (managed ? MANAGED : 0));

/** The value of a checkpoint entry. */
export function encodeCheckpointId(checkpointId: number): Uint8Array {
  const bytes = new Uint8Array(8);
  setUint64(new DataView(bytes.buffer), 0, checkpointId);
  return bytes;
}

/**
 * Reads an entry. Key and value are views of the record's bytes.
 *
 * @param coreId - of the log that the record is in
 * @param directory - of that log, for errors
 * @throws `WAL_CORRUPT` for a record that is not an entry of this log, `WAL_UNSUPPORTED_VERSION`
 */
export function decodeEntry(record: WalRecord, coreId: number, directory: string): CoreEntry {
  const { payload, lsn } = record;
  if (payload.length < ENTRY_HEADER_BYTES) throw notAnEntry(directory, lsn, `it has ${payload.length} bytes`);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (view.getUint8(0) !== ENTRY_VERSION) throw laterVersion(directory, lsn, `version ${view.getUint8(0)}`);
  const operation = view.getUint8(1);
  if (operation !== record.type)
    throw notAnEntry(directory, lsn, `its type is ${record.type}, its operation ${operation}`);
  const place: EntryPlace = {
    coreId: view.getUint32(4, true),
    epoch: getUint64(view, 8),
    timestampUs: getUint64(view, 24),
    sequence: getUint64(view, 16),
  };
  if (place.coreId !== coreId) throw notAnEntry(directory, lsn, `it is an entry of core ${place.coreId}`);
  if (place.sequence !== lsn) throw notAnEntry(directory, lsn, `its sequence is ${place.sequence}`);
  if (!Number.isFinite(place.epoch) || !Number.isFinite(place.timestampUs)) {
    throw notAnEntry(directory, lsn, 'its epoch or time is out of range');
  }
  const value = new Uint8Array(
    payload.buffer,
    payload.byteOffset + ENTRY_HEADER_BYTES,
    payload.length - ENTRY_HEADER_BYTES,
  );
  return withValue(operation, place, record.meta, value, directory);
}

function withValue(
  operation: number,
  place: EntryPlace,
  key: Uint8Array,
  value: Uint8Array,
  directory: string,
): CoreEntry {
  switch (operation) {
    case OperationCode.put:
      return { operation: 'put', ...place, key, value };
    case OperationCode.delete:
      return { operation: 'delete', ...place, key };
    case OperationCode.checkpoint:
      if (value.length !== 8) throw notAnEntry(directory, place.sequence, 'its checkpoint has no id');
      return { operation: 'checkpoint', ...place, checkpointId: getUint64(viewOf(value), 0) };
    case OperationCode.epochBarrier:
      if (value.length !== 1) throw notAnEntry(directory, place.sequence, 'its barrier has no flags');
      return { operation: 'epochBarrier', ...place, ...flagsOf(value[0] as number) };
    case OperationCode.commit: {
      const committed = decodeCommit(value);
      if (committed === undefined) throw notAnEntry(directory, place.sequence, 'its offsets cannot be read');
      return { operation: 'commit', ...place, ...committed };
    }
    default:
      throw laterVersion(directory, place.sequence, `operation ${operation}`);
  }
}

function flagsOf(flags: number): Pick<EpochBarrierEntry, 'last' | 'managed'> {
  const last = (flags & LAST) !== 0;
  return (flags & MANAGED) === 0 ? { last } : { last, managed: true };
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function notAnEntry(directory: string, lsn: number, what: string): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `the record with LSN ${lsn} in ${directory} is not an entry of this per-core log: ${what}; nothing was changed`,
    { path: directory, lsn, reason: 'entry' },
  );
}

function laterVersion(directory: string, lsn: number, what: string): WalError {
  return new WalError(
    'WAL_UNSUPPORTED_VERSION',
    `the entry with LSN ${lsn} in ${directory} was written by a later version (${what}): use a later walstack`,
    { path: directory, lsn, reason: 'entry' },
  );
}
