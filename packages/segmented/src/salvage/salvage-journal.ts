import { join } from 'node:path';
import {
  type Checkpoint,
  FileName,
  type Lsn,
  parseSegmentFileName,
  SEGMENT_HEADER_BYTES,
  WalError,
} from '@walstack/codec';
import { decodeFramedJson, encodeFramedJson } from '@walstack/codec/internal';
import { isNoFile, readWholeFile } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { replaceFile } from '@walstack/storage-io/internal';
import type { Settings } from '../options.js';
import type { LsnRange } from '../recovery/recovery-report.js';
import type { ChainLink } from '../segments/segment.js';
import type { Gap } from './holes/gap.js';
import type { EarlierRepair, Repair } from './holes/repair.js';

/**
 * The plan of a salvage, stored in the file `salvage` before anything is changed: after a crash the salvage continues with
 * the same plan, and a half repaired log is never taken for an intact one.
 */
export interface SalvageJournal {
  /** The directory, such as `quarantine/<time>-<id>`, that the hidden files and finally this file are moved to. */
  readonly quarantine: string;
  readonly logId: Uint8Array;
  readonly coreId: number | undefined;
  /** Number of the new segment, in which the log continues. */
  readonly number: number;
  readonly nextLsn: Lsn;
  /** The LSN from which on the log is encrypted, if that segment is. */
  readonly encryptedFrom: Lsn;
  readonly from: Omit<ChainLink, 'salvaged'>;
  /** The checkpoint to be written; `undefined` in files of earlier versions, which wrote none. */
  readonly checkpoint: Omit<Checkpoint, 'logId'> | undefined;
  /** Names of the files that are moved to quarantine. */
  readonly hidden: readonly string[];
  readonly lost: readonly LsnRange[];
  /** The number of segments that are kept. */
  readonly segments: number;
  readonly firstLsn: Lsn;
  readonly damage: WalError;
  /** The segments that are made again around their damage. */
  readonly repairs: readonly Repair[];
  /** Those of earlier rounds, which are not made again: they show what the files in quarantine were. */
  readonly earlier: readonly EarlierRepair[];
}

/** Writes the file `salvage`; durable on return. */
export function* writeJournal(
  io: StorageIo,
  { directory, fileMode }: Pick<Settings, 'directory' | 'fileMode'>,
  journal: SalvageJournal,
): IoRoutine<void> {
  const draft = join(directory, FileName.salvageDraft);
  try {
    yield* replaceFile(io, draft, join(directory, FileName.salvage), encodeJournal(journal), fileMode);
  } catch (error) {
    yield* dropDraft(io, draft);
    throw error;
  }
  yield* ioSteps.syncDirectory(io, directory);
}

/** Removes a draft after a failure. If this fails too, the first error is kept. */
function* dropDraft(io: StorageIo, draft: string): IoRoutine<void> {
  try {
    yield* ioSteps.remove(io, draft);
  } catch {
    // The file remains and is removed when the log is opened.
  }
}

/** Reads the file `salvage`; `undefined` when it is damaged. */
export function* readJournal(io: StorageIo, directory: string): IoRoutine<SalvageJournal | undefined> {
  try {
    return decodeJournal(yield* readWholeFile(io, join(directory, FileName.salvage)));
  } catch (error) {
    if (error === DAMAGED || isNoFile(error)) return undefined;
    throw error;
  }
}

/** The LSN with which the successor of a segment that is made again begins; `undefined` for the newest one, which had none. */
export function limitOf({ from }: SalvageJournal, { name, nextLsn }: Repair): Lsn | undefined {
  return parseSegmentFileName(name)?.number === from.predecessor?.number ? undefined : nextLsn;
}

const DAMAGED = new WalError('WAL_CORRUPT', 'the file salvage is damaged');

const hex = (id: Uint8Array): string => Buffer.from(id).toString('hex');

function encodeJournal({ logId, from, damage, checkpoint, repairs, earlier, ...rest }: SalvageJournal): Uint8Array {
  const { message, path, offset, lsn, reason } = damage;
  const { firstPosition, predecessor } = from;
  return encodeFramedJson({
    // An earlier version would leave the log without the segments that are made again.
    version: repairs.length === 0 ? 1 : 2,
    ...rest,
    ...(repairs.length === 0
      ? {}
      : { repairs: repairs.map(({ header, ...each }) => ({ ...each, header: hex(header) })) }),
    ...(earlier.length === 0
      ? {}
      : { earlier: earlier.map(({ header, ...each }) => ({ ...each, header: hex(header) })) }),
    logId: hex(logId),
    firstPosition,
    predecessor: predecessor === undefined ? null : { number: predecessor.number, id: hex(predecessor.id) },
    checkpoint: checkpoint ?? null,
    damage: { message, path, offset, lsn, reason },
  });
}

/** The JSON of the file, unchecked: it may have been written by another program. */
type Written = Partial<Record<keyof SalvageJournal | 'version' | 'firstPosition' | 'predecessor', unknown>>;

function decodeJournal(bytes: Uint8Array): SalvageJournal {
  const written = objectOf(decodeFramedJson(bytes, () => DAMAGED)) as Written;
  // A file without a version, such as a renamed checkpoint, was not written by a salvage.
  if (integerOf(written.version, 1) > 2) {
    throw new WalError(
      'WAL_UNSUPPORTED_VERSION',
      'a later version of walstack began to salvage this log: use that version to continue',
    );
  }
  const damage = objectOf(written.damage) as { message?: unknown } & Record<string, unknown>;
  const { message, ...facts } = damage;
  return {
    quarantine: quarantinePathOf(written.quarantine),
    logId: idOf(written.logId),
    coreId: written.coreId === undefined ? undefined : integerOf(written.coreId, 0),
    number: integerOf(written.number, 1),
    nextLsn: integerOf(written.nextLsn, 1),
    encryptedFrom: integerOf(written.encryptedFrom, 0),
    from: {
      firstPosition: integerOf(written.firstPosition, 0),
      predecessor: written.predecessor === null ? undefined : predecessorOf(written.predecessor),
    },
    checkpoint: written.checkpoint === null ? undefined : checkpointOf(written.checkpoint),
    hidden: listOf(written.hidden).map(fileOf),
    lost: listOf(written.lost).map(rangeOf),
    segments: integerOf(written.segments, 0),
    firstLsn: integerOf(written.firstLsn, 1),
    damage: new WalError('WAL_CORRUPT', typeof message === 'string' ? message : '', facts),
    repairs: written.repairs === undefined ? [] : listOf(written.repairs).map(repairOf),
    earlier: written.earlier === undefined ? [] : listOf(written.earlier).map(earlierOf),
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

function integerOf(value: unknown, least: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least) throw DAMAGED;
  return value as number;
}

function idOf(value: unknown): Uint8Array {
  if (typeof value !== 'string' || !/^[0-9a-f]{32}$/.test(value)) throw DAMAGED;
  return new Uint8Array(Buffer.from(value, 'hex'));
}

/** Checks the path of a quarantine directory: it must be inside one of the quarantine directories, and nowhere else. */
function quarantinePathOf(value: unknown): string {
  if (typeof value !== 'string' || !/^quarantine(-\d{1,9})?\/[0-9A-Za-z-]{1,100}$/.test(value)) throw DAMAGED;
  return value;
}

/** Checks the name of a file that salvage may move: a segment or the checkpoint. */
function fileOf(value: unknown): string {
  const isOwn =
    value === FileName.checkpoint || (typeof value === 'string' && parseSegmentFileName(value) !== undefined);
  if (!isOwn) throw DAMAGED;
  return value as string;
}

function rangeOf(value: unknown): LsnRange {
  const { fromLsn, toLsn } = objectOf(value);
  return { fromLsn: integerOf(fromLsn, 1), toLsn: integerOf(toLsn, 1) };
}

/** The name of a damaged file in quarantine, where another copy may have its own. */
const ORIGINAL = /^(wal-\d{10}-\d{20}\.seg)(\.\d{1,9})?$/;

function earlierOf(value: unknown): EarlierRepair {
  const { limit } = objectOf(value);
  return { ...fileOfRepair(value), limit: limit === undefined ? undefined : integerOf(limit, 1) };
}

function fileOfRepair(value: unknown): Pick<Repair, 'name' | 'original' | 'header'> {
  const { name, original, header } = objectOf(value);
  const isName = original === undefined || (typeof original === 'string' && ORIGINAL.test(original));
  const isHeader =
    typeof header === 'string' && header.length === 2 * SEGMENT_HEADER_BYTES && /^[0-9a-f]+$/.test(header);
  if (fileOf(name) === FileName.checkpoint || !isName || !isHeader) throw DAMAGED;
  return { name: name as string, original, header: new Uint8Array(Buffer.from(header, 'hex')) };
}

function repairOf(value: unknown): Repair {
  const { isCopied, isLast, gaps, end, nextLsn, size } = objectOf(value);
  if (typeof isCopied !== 'boolean' || typeof isLast !== 'boolean') throw DAMAGED;
  return {
    ...fileOfRepair(value),
    isCopied,
    isLast,
    gaps: listOf(gaps).map(gapOf),
    end: integerOf(end, 0),
    nextLsn: integerOf(nextLsn, 1),
    size: integerOf(size, 0),
  };
}

function gapOf(value: unknown): Gap {
  const { from, to, firstLsn, nextLsn, reason } = objectOf(value);
  return {
    from: integerOf(from, 0),
    to: to === undefined ? undefined : integerOf(to, 0),
    firstLsn: integerOf(firstLsn, 1),
    nextLsn: integerOf(nextLsn, 1),
    reason: integerOf(reason, 0),
  };
}

function predecessorOf(value: unknown): { readonly number: number; readonly id: Uint8Array } {
  const { number, id } = objectOf(value);
  return { number: integerOf(number, 1), id: idOf(id) };
}

function checkpointOf(value: unknown): Omit<Checkpoint, 'logId'> {
  const { firstSegment, checkpointLsn, holds, salvagedBelow, expiredLsn } = objectOf(value);
  const entries = Object.entries(objectOf(holds)).map(([name, lsn]) => [name, integerOf(lsn, 1)] as const);
  return {
    firstSegment: integerOf(firstSegment, 1),
    checkpointLsn: integerOf(checkpointLsn, 0),
    holds: Object.fromEntries(entries),
    ...(salvagedBelow === undefined ? {} : { salvagedBelow: integerOf(salvagedBelow, 1) }),
    ...(expiredLsn === undefined ? {} : { expiredLsn: integerOf(expiredLsn, 1) }),
  };
}
