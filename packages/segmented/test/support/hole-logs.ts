import { join } from 'node:path';
import { parseSegmentFileName } from '@walstack/codec';
import { Batch, type Hole, SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { createMemoryStorageIo, type StorageIo } from '@walstack/storage-io';
import { TestEnvironment } from './environments.js';
import { changed, flip, readFile, restore, type Snapshot, segmentNames, snapshot } from './files.js';
import { DIRECTORY, openIn } from './logs.js';

/** A payload of headers that look like damaged ones of a record: each ends where the payload does, and ends its batch. */
export function forgedHeaders(length: number, lsn: number): Uint8Array {
  const payload = Buffer.alloc(length);
  for (let at = 0; at + 32 <= length; at += 32) {
    payload.writeUInt32LE(length - at - 8, at);
    payload.writeBigUInt64LE(BigInt(lsn), at + 8);
    payload.writeUInt32LE(2, at + 20);
  }
  return payload;
}

/** Makes a log of batches in one segment; the last record proves all others durable. */
export function makeBatches(
  batches: readonly (readonly (string | Uint8Array)[])[],
  more: Partial<SegmentedWalConfig> = {},
): Snapshot {
  const io = createMemoryStorageIo();
  const { options } = new TestEnvironment();
  const wal = SegmentedWal.openSync({ directory: DIRECTORY, io, ...ONE_SEGMENT, ...options, ...more });
  for (const payloads of batches) {
    const batch = new Batch();
    for (const payload of payloads) batch.add(payload);
    wal.appendBatch(batch);
  }
  wal.syncSync();
  wal.append('last');
  wal.closeSync();
  return snapshot(io, DIRECTORY);
}

/** The options of such a log. */
export const ONE_SEGMENT = { blockBytes: 512, segmentBytes: 4 * 1024 * 1024 };

/** Changes bits of a record: offsets count from the beginning of its frame. */
export function damageAt(files: Snapshot, lsn: number, ...changes: readonly (readonly [number, number])[]): Snapshot {
  const { name, start } = framesIn(files).find((frame) => frame.lsn === lsn) as FoundFrame;
  return changes.reduce((each, [offset, mask]) => changed(each, name, flip(start + offset, mask)), files);
}

/** The LSNs that are there behind a salvage around the damage of such a log, and those in holes. */
export function salvagedOf(files: Snapshot): { readonly there: readonly number[]; readonly lost: readonly number[] } {
  const wal = skipCorrupt(restore(files), ONE_SEGMENT);
  const there = Array.from(wal.replay({ onHole: 'skip' }), ({ lsn }) => lsn);
  const { holes } = wal.recovery;
  wal.closeSync();
  return { there, lost: lsnsOf(holes) };
}

/** What is appended: a record of so many bytes, a batch, or nothing, and whether it is synced then. */
export interface Step {
  readonly lengths: readonly number[];
  readonly sync: boolean;
}

/** A record as it was appended. */
interface Appended {
  readonly lsn: number;
  readonly payload: string;
  /** The first LSN of its batch. */
  readonly batch: number;
}

/** A log, and everything that was appended to it. */
export interface HoleLog {
  readonly files: Snapshot;
  readonly appended: readonly Appended[];
}

export function makeHoleLog(steps: readonly Step[], close: boolean, config: Partial<SegmentedWalConfig> = {}): HoleLog {
  const io = createMemoryStorageIo();
  const environment = new TestEnvironment();
  const wal = SegmentedWal.openSync({
    directory: DIRECTORY,
    io,
    blockBytes: 512,
    segmentBytes: 4096,
    ...environment.options,
    ...config,
  });
  const appended: Appended[] = [];
  for (const { lengths, sync } of steps) {
    const first = wal.nextLsn;
    const payloads = lengths.map((length, index) =>
      `${first + index}:`.padEnd(length, String.fromCharCode(65 + (first % 26))),
    );
    if (payloads.length === 1) wal.append(payloads[0] as string);
    else if (payloads.length > 1) {
      const batch = new Batch();
      for (const payload of payloads) batch.add(payload);
      wal.appendBatch(batch);
    }
    for (const [index, payload] of payloads.entries()) appended.push({ lsn: first + index, payload, batch: first });
    if (sync) wal.syncSync();
    environment.time += 3;
  }
  if (close) wal.closeSync();
  else wal.syncSync();
  return { files: snapshot(io, DIRECTORY), appended };
}

/** A frame of a segment, as the format says. */
export interface FoundFrame {
  readonly name: string;
  readonly lsn: number;
  readonly lag: number;
  readonly start: number;
  readonly end: number;
  readonly isRecord: boolean;
  readonly isHole: boolean;
}

/** Every frame of a log. */
export function framesIn(files: Snapshot, blockBytes = 512): FoundFrame[] {
  const found: FoundFrame[] = [];
  for (const name of segmentNames(files)) {
    const bytes = files.get(name) as Uint8Array;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let start = blockBytes; start + 8 <= bytes.length; ) {
      const left = blockBytes - (start % blockBytes);
      const length = left < 8 ? 0 : view.getUint32(start, true);
      if (length === 0) {
        start += left;
        continue;
      }
      const end = start + 8 + length;
      // A file that was cut behind what the log has of it.
      if (end > bytes.length) break;
      const lsn = Number(view.getBigUint64(start + 8, true));
      const flags = view.getUint8(start + 26);
      const [isRecord, isHole] = [flags < 16, flags === 32];
      found.push({ name, lsn, lag: view.getUint32(start + 20, true), start, end, isRecord, isHole });
      start = end;
    }
  }
  return found;
}

/** The offsets at which two files differ; those that only one of them has count. */
export function isChanged(before: Uint8Array, after: Uint8Array | undefined, start: number, end: number): boolean {
  if (after === undefined || after.length < end) return true;
  return Buffer.compare(before.subarray(start, end), after.subarray(start, end)) !== 0;
}

/** Opens a damaged log around its damage. */
export const skipCorrupt = (io: StorageIo, config: Partial<SegmentedWalConfig> = {}): SegmentedWal =>
  openIn(io, { segmentBytes: 4096, recoveryMode: 'skip-corrupt', ...config });

/** LSNs of holes. */
export const lsnsOf = (holes: readonly Pick<Hole, 'firstLsn' | 'lastLsn'>[]): number[] =>
  holes.flatMap(({ firstLsn, lastLsn }) =>
    Array.from({ length: lastLsn - firstLsn + 1 }, (_, index) => firstLsn + index),
  );

/** Every file in quarantine by its name, without the reports. */
export function filesInQuarantine(io: StorageIo): Snapshot {
  const parent = join(DIRECTORY, 'quarantine');
  const found = new Map<string, Uint8Array>();
  if (!io.list(DIRECTORY).includes('quarantine')) return found;
  for (const directory of io.list(parent)) {
    for (const name of io.list(join(parent, directory))) {
      if (parseSegmentFileName(name.replace(/\.\d+$/, '')) !== undefined) {
        found.set(name, readFile(io, join(parent, directory, name)));
      }
    }
  }
  return found;
}
