import { join } from 'node:path';
import { decodeFramedJson, encodeFramedJson, FileName, WalError } from '@walstack/codec';
import { type IoRoutine, ioSteps, kindOf, replaceFile, type StorageIo } from '@walstack/storage-io';
import { errorFromTransfer, errorToTransfer, type TransferredError } from '../manager/error-transfer.js';

/** Entries of one core that are gone. */
export interface LostEntries {
  readonly coreId: number;
  readonly fromLsn: number;
  readonly toLsn: number;
}

/** What was lost of a per-core log that was salvaged. */
export interface PerCoreSalvage {
  /** What was found, in the order in which it was; each is what `'strict'` throws. */
  readonly damage: readonly WalError[];
  /**
   * Entries that are gone and that no snapshot stands for, as far as there are traces of them. Entries of other cores, also
   * such as came after these, are still there.
   */
  readonly lost: readonly LostEntries[];
  /** Directories in which what was given up is kept. */
  readonly quarantine: readonly string[];
}

/** What is noted while a salvage has not ended. */
interface SalvageNote extends PerCoreSalvage {
  /** Cores whose own logs are being salvaged, which write down themselves what they lose, and what they had written down before. */
  readonly salvaging: readonly { readonly coreId: number; readonly known: readonly string[] }[];
}

/** More is no note of ours: its memory is not taken. */
const MAXIMUM_BYTES = 256 * 1024 * 1024;

/** Path of the note of a per-core log that a salvage has begun and not ended. */
export const salvageNotePath = (directory: string): string => join(directory, FileName.salvage);

/**
 * Notes what a salvage gives up, before it does: it is there until the salvage has ended, and only salvage opens the per-core
 * log as long as it is. Durable on return.
 *
 * @throws `WAL_CORRUPT` where a directory has its name
 */
export function* writeSalvageNote(io: StorageIo, directory: string, note: SalvageNote): IoRoutine<void> {
  const { lost, quarantine, salvaging } = note;
  if (kindOf(io, salvageNotePath(directory)) === 'directory') throw takenName(directory, note.damage[0]);
  const bytes = encodeFramedJson({ version: 1, damage: note.damage.map(errorToTransfer), lost, quarantine, salvaging });
  yield* replaceFile(io, join(directory, FileName.salvageDraft), salvageNotePath(directory), bytes);
  yield* ioSteps.syncDirectory(io, directory);
}

/** What a salvage has given up that has not ended; `undefined` where there is none. */
export function* readSalvageNote(io: StorageIo, directory: string): IoRoutine<SalvageNote | undefined> {
  const path = salvageNotePath(directory);
  if (!io.list(directory).includes(FileName.salvage) || kindOf(io, path) === 'directory') return undefined;
  const file = io.open(path, { readOnly: true });
  try {
    const bytes = new Uint8Array(Math.min(io.size(file), MAXIMUM_BYTES));
    const length = yield* ioSteps.read(io, file, bytes, 0);
    return noteFrom(decodeFramedJson(bytes.subarray(0, length), (reason) => damaged(path, reason)));
  } catch (error) {
    if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
    return { damage: [error], lost: [], quarantine: [], salvaging: [] };
  } finally {
    io.close(file);
  }
}

function takenName(directory: string, damage: WalError | undefined): WalError {
  const path = salvageNotePath(directory);
  return new WalError(
    'WAL_CORRUPT',
    `salvage needs the name ${path} for a file, and there is a directory of that name: move it away`,
    { path, reason: 'salvage-name' },
    damage === undefined ? undefined : { cause: damage },
  );
}

/** What is thrown where a salvage has not ended, and no salvage is asked for. */
export function unfinishedSalvage(directory: string): WalError {
  return new WalError('WAL_CORRUPT', `${directory} is half salvaged: open it with 'salvage'; nothing was changed`, {
    path: salvageNotePath(directory),
    reason: 'salvage',
  });
}

/** The salvage has ended. */
export function* removeSalvageNote(io: StorageIo, directory: string): IoRoutine<void> {
  yield* ioSteps.remove(io, salvageNotePath(directory));
  try {
    yield* ioSteps.syncDirectory(io, directory);
  } catch {
    // A note that a crash brings back has the next opening ask for salvage, which does nothing and reports the same again.
  }
}

function noteFrom(json: unknown): SalvageNote {
  // Its checksum is right: it is what was written.
  const { damage, lost, quarantine, salvaging } = json as {
    readonly damage: readonly TransferredError[];
    readonly lost: readonly LostEntries[];
    readonly quarantine: readonly string[];
    readonly salvaging: SalvageNote['salvaging'];
  };
  return { damage: damage.map((error) => errorFromTransfer(error) as WalError), lost, quarantine, salvaging };
}

function damaged(path: string, reason: string): WalError {
  return new WalError('WAL_CORRUPT', `${path} is damaged (${reason}): what was given up before is not known`, {
    path,
    offset: 0,
    reason,
  });
}
