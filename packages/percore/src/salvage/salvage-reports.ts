import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import { decodeFramedJson } from '@walstack/codec/internal';
import { readWholeFile } from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { kindOf } from '@walstack/storage-io/internal';

/** The report of the salvage of one log: the file `salvage` in the directory with its discarded files. */
interface SalvageReportFile {
  readonly path: string;
  readonly lost: readonly { readonly fromLsn: number; readonly toLsn: number }[];
}

/** The directories in the quarantine of a log that contain the report of a salvage; none when there is no log. */
export function reportPlaces(io: StorageIo, directory: string): string[] {
  if (kindOf(io, directory) !== 'directory') return [];
  const places: string[] = [];
  for (const base of io.list(directory)) {
    if (base !== FileName.quarantine && !base.startsWith(`${FileName.quarantine}-`)) continue;
    if (kindOf(io, join(directory, base)) !== 'directory') continue;
    for (const name of io.list(join(directory, base))) {
      const path = join(directory, base, name);
      if (kindOf(io, path) === 'directory' && io.list(path).includes(FileName.salvage)) places.push(`${base}/${name}`);
    }
  }
  return places;
}

/** Reads the reports of ended salvages of a log. @param known - the places of earlier reports, which are left out */
export function* readReports(
  io: StorageIo,
  directory: string,
  known: readonly string[],
): IoRoutine<readonly SalvageReportFile[]> {
  const reports: SalvageReportFile[] = [];
  for (const place of reportPlaces(io, directory)) {
    if (known.includes(place)) continue;
    const path = join(directory, place);
    const lost = yield* lostIn(io, join(path, FileName.salvage));
    if (lost !== undefined) reports.push({ path, lost });
  }
  return reports;
}

/** The lost entries in a report; `undefined` when it cannot be read, for example after it was edited. */
function* lostIn(io: StorageIo, path: string): IoRoutine<SalvageReportFile['lost'] | undefined> {
  try {
    const bytes = yield* readWholeFile(io, path);
    const json = decodeFramedJson(bytes, () => new WalError('WAL_CORRUPT', `${path} is damaged`));
    // The checksum matched: the content is what the log wrote.
    return (json as SalvageReportFile).lost;
  } catch (error) {
    if (WalError.is(error, 'WAL_CORRUPT')) return undefined;
    throw error;
  }
}
