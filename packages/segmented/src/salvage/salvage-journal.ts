import { join } from 'node:path';
import {
  type Checkpoint,
  decodeFramedJson,
  encodeFramedJson,
  FileName,
  type Lsn,
  parseSegmentFileName,
  WalError,
} from '@walstack/codec';
import { isNoFile, withFile } from '@walstack/mmap-reader/segments';
import { type IoRoutine, ioSteps, replaceFile, type StorageIo } from '@walstack/storage-io';
import type { LsnRange } from '../recovery/recovery-report.js';
import type { ChainLink } from '../segments/segment.js';

/**
 * What a salvage has decided, in the file `salvage` before anything is changed: so that it can go on with just that after
 * a crash, and nothing takes a log that is half repaired for a whole one.
 */
export interface SalvageJournal {
  /** The directory, such as `quarantine/<time>-<id>`, that takes what is given up, and at last this file. */
  readonly quarantine: string;
  readonly logId: Uint8Array;
  readonly coreId: number | undefined;
  /** The segment that the log goes on in. */
  readonly number: number;
  readonly nextLsn: Lsn;
  /** From which LSN on the log is encrypted, if that segment is. */
  readonly encryptedFrom: Lsn;
  readonly from: Omit<ChainLink, 'salvaged'>;
  /** The checkpoint that there is to be; `undefined` where nothing is written, as earlier versions had it. */
  readonly checkpoint: Omit<Checkpoint, 'logId'> | undefined;
  /** Names of the files that are moved into quarantine. */
  readonly hidden: readonly string[];
  readonly lost: readonly LsnRange[];
  /** What is kept. */
  readonly segments: number;
  readonly firstLsn: Lsn;
  readonly damage: WalError;
}

/** A file larger than this is none of ours. */
const MOST_BYTES = 256 * 1024 * 1024;

/** Writes the file `salvage`; durable on return. */
export function* writeJournal(io: StorageIo, directory: string, journal: SalvageJournal): IoRoutine<void> {
  const draft = join(directory, FileName.salvageDraft);
  try {
    yield* replaceFile(io, draft, join(directory, FileName.salvage), encodeJournal(journal));
  } catch (error) {
    yield* dropDraft(io, draft);
    throw error;
  }
  yield* ioSteps.syncDirectory(io, directory);
}

/** Removes a draft after a failure, which is what matters to the caller: another one here must not hide it. */
function* dropDraft(io: StorageIo, draft: string): IoRoutine<void> {
  try {
    yield* ioSteps.remove(io, draft);
  } catch {
    // It stays behind, and is removed when the log is opened.
  }
}

/** Reads the file `salvage`; `undefined` when it is damaged. */
export function* readJournal(io: StorageIo, directory: string): IoRoutine<SalvageJournal | undefined> {
  try {
    return yield* withFile(io, join(directory, FileName.salvage), function* (file) {
      const size = io.size(file);
      if (size > MOST_BYTES) return undefined;
      const bytes = new Uint8Array(size);
      const length = yield* ioSteps.read(io, file, bytes, 0);
      return decodeJournal(bytes.subarray(0, length));
    });
  } catch (error) {
    if (error === DAMAGED || isNoFile(error)) return undefined;
    throw error;
  }
}

const DAMAGED = new WalError('WAL_CORRUPT', 'the file salvage is damaged');

const hex = (id: Uint8Array): string => Buffer.from(id).toString('hex');

function encodeJournal({ logId, from, damage, checkpoint, ...rest }: SalvageJournal): Uint8Array {
  const { message, path, offset, lsn, reason } = damage;
  const { firstPosition, predecessor } = from;
  return encodeFramedJson({
    version: 1,
    ...rest,
    logId: hex(logId),
    firstPosition,
    predecessor: predecessor === undefined ? null : { number: predecessor.number, id: hex(predecessor.id) },
    checkpoint: checkpoint ?? null,
    damage: { message, path, offset, lsn, reason },
  });
}

/** What may stand in the file: what this package has written there, and what other programs may have. */
type Written = Partial<Record<keyof SalvageJournal | 'version' | 'firstPosition' | 'predecessor', unknown>>;

function decodeJournal(bytes: Uint8Array): SalvageJournal {
  const written = objectOf(decodeFramedJson(bytes, () => DAMAGED)) as Written;
  // A file without one, such as a checkpoint of this name, is none that a salvage has written.
  if (countOf(written.version, 1) > 1) {
    throw new WalError(
      'WAL_UNSUPPORTED_VERSION',
      'a later version began to salvage this log: use that to go on with it',
    );
  }
  const damage = objectOf(written.damage) as { message?: unknown } & Record<string, unknown>;
  const { message, ...facts } = damage;
  return {
    quarantine: placeOf(written.quarantine),
    logId: idOf(written.logId),
    coreId: written.coreId === undefined ? undefined : countOf(written.coreId, 0),
    number: countOf(written.number, 1),
    nextLsn: countOf(written.nextLsn, 1),
    encryptedFrom: countOf(written.encryptedFrom, 0),
    from: {
      firstPosition: countOf(written.firstPosition, 0),
      predecessor: written.predecessor === null ? undefined : predecessorOf(written.predecessor),
    },
    checkpoint: written.checkpoint === null ? undefined : checkpointOf(written.checkpoint),
    hidden: listOf(written.hidden).map(fileOf),
    lost: listOf(written.lost).map(rangeOf),
    segments: countOf(written.segments, 0),
    firstLsn: countOf(written.firstLsn, 1),
    damage: new WalError('WAL_CORRUPT', typeof message === 'string' ? message : '', facts),
  };
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw DAMAGED;
  return value as Record<string, unknown>;
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw DAMAGED;
  return value;
}

function countOf(value: unknown, least: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least) throw DAMAGED;
  return value as number;
}

function idOf(value: unknown): Uint8Array {
  if (typeof value !== 'string' || !/^[0-9a-f]{32}$/.test(value)) throw DAMAGED;
  return new Uint8Array(Buffer.from(value, 'hex'));
}

/** A directory in one of quarantine, and nowhere else. */
function placeOf(value: unknown): string {
  if (typeof value !== 'string' || !/^quarantine(-\d{1,9})?\/[0-9A-Za-z-]{1,100}$/.test(value)) throw DAMAGED;
  return value;
}

/** The name of a file that salvage may move: a segment's, or that of the checkpoint or of this file. */
function fileOf(value: unknown): string {
  const isOwn =
    value === FileName.checkpoint || (typeof value === 'string' && parseSegmentFileName(value) !== undefined);
  if (!isOwn) throw DAMAGED;
  return value as string;
}

function rangeOf(value: unknown): LsnRange {
  const { fromLsn, toLsn } = objectOf(value);
  return { fromLsn: countOf(fromLsn, 1), toLsn: countOf(toLsn, 1) };
}

function predecessorOf(value: unknown): { readonly number: number; readonly id: Uint8Array } {
  const { number, id } = objectOf(value);
  return { number: countOf(number, 1), id: idOf(id) };
}

function checkpointOf(value: unknown): Omit<Checkpoint, 'logId'> {
  const { firstSegment, checkpointLsn, holds, salvagedBelow } = objectOf(value);
  const entries = Object.entries(objectOf(holds)).map(([name, lsn]) => [name, countOf(lsn, 1)] as const);
  return {
    firstSegment: countOf(firstSegment, 1),
    checkpointLsn: countOf(checkpointLsn, 0),
    holds: Object.fromEntries(entries),
    ...(salvagedBelow === undefined ? {} : { salvagedBelow: countOf(salvagedBelow, 1) }),
  };
}
