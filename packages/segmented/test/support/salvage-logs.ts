import type { SegmentedWal, SegmentedWalConfig } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { changed, flip, type Snapshot, segmentNames } from './files.js';
import { make, openIn, recordsOf } from './logs.js';

/** The options of the log that is damaged here. */
export const CONFIG = { segmentBytes: 2048 };

/** A log of a few segments of some six records each, the last of them acknowledged. */
export const made = make({ groups: Array.from({ length: 30 }, () => [250]), config: CONFIG });

/** Names of its segments. */
export const NAMES = segmentNames(made.files);

/** The name of its segment with this index. */
export const nameOf = (index: number): string => NAMES.at(index) as string;

/** The first LSN in the segment with this name. */
export const firstLsnOf = (name: string): number => Number(name.slice(15, 35));

/** The log with one byte of the record with this LSN inverted. */
export function damaged(lsn: number, files: Snapshot = made.files): Snapshot {
  const name = segmentNames(files).findLast((each) => firstLsnOf(each) <= lsn) as string;
  const record = recordsOf(files.get(name) as Uint8Array).find((each) => each.lsn === lsn && !each.mark);
  return changed(files, name, flip((record?.start as number) + 100));
}

/** The files without some of them. */
export const without = (files: Snapshot, ...names: readonly string[]): Snapshot =>
  new Map([...files].filter(([name]) => !names.includes(name)));

/** Opens a damaged log, and keeps what can be kept. */
export const salvage = (io: StorageIo, config: Partial<SegmentedWalConfig> = {}): SegmentedWal =>
  openIn(io, { ...CONFIG, recoveryMode: 'salvage', ...config });
