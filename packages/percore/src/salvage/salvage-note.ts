import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import { decodeFramedJson, encodeFramedJson } from '@walstack/codec/internal';
import { readWholeFile } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { kindOf, replaceFile } from '@walstack/storage-io/internal';
import { errorFromTransfer, errorToTransfer, type TransferredError } from '../manager/error-transfer.js';
import type { LogDirectory } from '../options.js';

/** Lost entries of one core. */
export interface LostEntries {
  readonly coreId: number;
  readonly fromLsn: number;
  readonly toLsn: number;
}

/** What a salvage of a per-core log found and lost. */
export interface PerCoreSalvage {
  /** The damage, in the order in which it was found; each is the error that `'strict'` throws. */
  readonly damage: readonly WalError[];
  /**
   * Lost entries that no snapshot covers, as far as the loss can be detected. Entries of other cores are still there, even
   * if they were appended later than these.
   */
  readonly lost: readonly LostEntries[];
  /** Directories that contain the discarded files. */
  readonly quarantine: readonly string[];
}

/** The content of the note that exists until a salvage has ended. */
interface SalvageNote extends PerCoreSalvage {
  /** Cores whose logs are being salvaged, each with the places of the reports that its log had before. */
  readonly salvaging: readonly { readonly coreId: number; readonly known: readonly string[] }[];
}

/** Path of the note of an unfinished salvage of a per-core log. */
export const salvageNotePath = (directory: string): string => join(directory, FileName.salvage);

/**
 * Records what a salvage discards, before it does so. The note exists until the salvage has ended, and until then the
 * per-core log opens only with `'salvage'`. Durable on return.
 *
 * @throws `WAL_CORRUPT` when a directory has the name of the note
 */
export function* writeSalvageNote(place: LogDirectory, note: SalvageNote): IoRoutine<void> {
  const { io, directory, fileMode } = place;
  const { lost, quarantine, salvaging } = note;
  if (kindOf(io, salvageNotePath(directory)) === 'directory') throw takenName(directory, note.damage[0]);
  const bytes = encodeFramedJson({ version: 1, damage: note.damage.map(errorToTransfer), lost, quarantine, salvaging });
  yield* replaceFile(io, join(directory, FileName.salvageDraft), salvageNotePath(directory), bytes, fileMode);
  yield* ioSteps.syncDirectory(io, directory);
}

/** Reads the note of an unfinished salvage; `undefined` when there is none. */
export function* readSalvageNote(io: StorageIo, directory: string): IoRoutine<SalvageNote | undefined> {
  const path = salvageNotePath(directory);
  if (!io.list(directory).includes(FileName.salvage) || kindOf(io, path) === 'directory') return undefined;
  try {
    const refused = (reason: string): WalError => damaged(path, reason);
    return noteFrom(decodeFramedJson(yield* readWholeFile(io, path), refused), refused);
  } catch (error) {
    if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
    return { damage: [error], lost: [], quarantine: [], salvaging: [] };
  }
}

function takenName(directory: string, damage: WalError | undefined): WalError {
  const path = salvageNotePath(directory);
  return new WalError(
    'WAL_CORRUPT',
    `salvage needs the name ${path} for a file, but a directory has that name: move it away`,
    { path, reason: 'salvage-name' },
    damage === undefined ? undefined : { cause: damage },
  );
}

/** The error when a salvage has not ended and `'salvage'` is not asked for. */
export function unfinishedSalvage(directory: string): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `${directory} has an unfinished salvage: open it with 'salvage'; nothing was changed`,
    {
      path: salvageNotePath(directory),
      reason: 'salvage',
    },
  );
}

/** Removes the note when the salvage has ended. */
export function* removeSalvageNote(io: StorageIo, directory: string): IoRoutine<void> {
  yield* ioSteps.remove(io, salvageNotePath(directory));
  try {
    yield* ioSteps.syncDirectory(io, directory);
  } catch {
    // If a crash restores the note, the next opening requires salvage again, which changes nothing and repeats the report.
  }
}

function noteFrom(json: unknown, refused: (reason: string) => WalError): SalvageNote {
  // The checksum matched: the content is what was written, here or as another file of the log.
  const { damage, lost, quarantine, salvaging } = Object(json) as {
    readonly damage: readonly TransferredError[];
    readonly lost: readonly LostEntries[];
    readonly quarantine: readonly string[];
    readonly salvaging: SalvageNote['salvaging'];
  };
  if (![damage, lost, quarantine, salvaging].every(Array.isArray)) throw refused('impossible-fields');
  return { damage: damage.map((error) => errorFromTransfer(error) as WalError), lost, quarantine, salvaging };
}

function damaged(path: string, reason: string): WalError {
  return new WalError('WAL_CORRUPT', `${path} is damaged (${reason}): what an earlier salvage discarded is not known`, {
    path,
    offset: 0,
    reason,
  });
}
