import { FRAME_HEADER_BYTES, RECORD_HEADER_BYTES, type WalError } from '@walstack/codec';
import { type RecoveryMode, type RecoveryReport, SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { type Frame, frameAt, framesOf, segmentBytes } from './frames.js';

const DIRECTORY = '/log';
const SECTOR_BYTES = 512;
/** Of one record: sectors of its own, so that a power cut can take one record and leave its neighbours. */
const FRAME_BYTES = 2 * SECTOR_BYTES;
const PAYLOAD = new Uint8Array(FRAME_BYTES - FRAME_HEADER_BYTES - RECORD_HEADER_BYTES).fill(0x61);

/** What a picture shows: a log that is written, what becomes of its disk, and how it is opened. */
export interface Scene {
  readonly name: string;
  readonly title: string;
  readonly mode: RecoveryMode;
  /** Writes the log; `idle` does what a log does that was idle for a while. */
  write(wal: SegmentedWal, idle: () => void): void;
  /** The records whose sectors reach the disk although no sync has covered them: first and last sector of each. */
  readonly surviving?: Readonly<Record<number, readonly [first: number, last: number]>>;
  /** The record in which a bit is damaged. */
  readonly damaged?: number;
}

function append(wal: SegmentedWal, count: number): void {
  for (let each = 0; each < count; each++) wal.append(PAYLOAD);
}

/** Six records: the first three were durable when the fourth was written, and it when the last two were. */
function threeGroups(wal: SegmentedWal): void {
  for (const count of [3, 1, 2]) {
    append(wal, count);
    wal.syncSync();
  }
}

/** Three records are acknowledged, two are written behind them, and then the power fails. */
function unacknowledgedEnd(wal: SegmentedWal): void {
  append(wal, 3);
  wal.syncSync();
  append(wal, 2);
  wal.flushSync();
}

export const scenes: readonly Scene[] = [
  {
    name: 'torn-tail',
    title: 'The power fails while records 4 and 5 are written: half of 4 is on the disk',
    mode: 'strict',
    write: unacknowledgedEnd,
    surviving: { 4: [0, 0] },
  },
  {
    name: 'hole',
    title: 'The same, but 5 is on the disk, and 4 is not',
    mode: 'strict',
    write: unacknowledgedEnd,
    surviving: { 5: [0, 1] },
  },
  {
    name: 'refused',
    title: 'All six were acknowledged; later a bit of record 4 is damaged',
    mode: 'strict',
    write: threeGroups,
    damaged: 4,
  },
  { name: 'salvage', title: "The same, opened with 'salvage'", mode: 'salvage', write: threeGroups, damaged: 4 },
  {
    name: 'skip-corrupt',
    title: "The same, opened with 'skip-corrupt'",
    mode: 'skip-corrupt',
    write: threeGroups,
    damaged: 4,
  },
  {
    name: 'last-group',
    title: 'The last acknowledged record is damaged, and nothing was written behind it',
    mode: 'strict',
    write(wal) {
      append(wal, 3);
      wal.syncSync();
    },
    damaged: 3,
  },
  {
    name: 'mark',
    title: 'The same, but the log was idle for 50 ms before, and has written a mark',
    mode: 'strict',
    write(wal, idle) {
      append(wal, 3);
      wal.syncSync();
      idle();
    },
    damaged: 3,
  },
];

/** What became of a frame. */
export interface Fate {
  readonly frame: Frame;
  readonly found: 'whole' | 'torn' | 'missing' | 'damaged';
  readonly after: 'kept' | 'cut' | 'given up' | 'hole' | 'refused';
}

/** What a run of a scene has shown. */
export interface Outcome {
  /** The last record that was acknowledged. */
  readonly acknowledgedLsn: number;
  readonly fates: readonly Fate[];
  readonly report?: RecoveryReport;
  readonly refusal?: WalError;
}

const environmentOf = (timers: (() => void)[]) => ({
  now: () => Date.UTC(2026, 0, 1),
  randomBytes: (bytes: number) => new Uint8Array(bytes).fill(7),
  setTimer(callback: () => void) {
    timers.push(callback);
    return () => {
      timers.splice(timers.indexOf(callback), 1);
    };
  },
});

/** Runs a scene: writes the log on a simulated disk, cuts the power, damages what is to be damaged, and opens it. */
export async function play(scene: Scene): Promise<Outcome> {
  const disk = new SimulatedDisk();
  const timers: (() => void)[] = [];
  const config = (io: StorageIo): SegmentedWalConfig => ({
    directory: DIRECTORY,
    io,
    blockBytes: SECTOR_BYTES,
    preallocate: 'none',
    ...environmentOf(timers),
  });
  const io = disk.createStorageIo();
  const wal = SegmentedWal.openSync(config(io));
  scene.write(wal, () => {
    for (const timer of timers.splice(0)) timer();
    wal.syncSync();
  });
  const written = framesOf(segmentBytes(io, DIRECTORY));
  const acknowledgedLsn = wal.durableLsn;

  const crashed = disk.crash(({ kind, offset }) => kind !== 'sector' || survives(scene, written, offset));
  const { path, offset = 0 } = { path: wal.listSegments()[0]?.path ?? '', ...frameOf(written, scene.damaged) };
  if (scene.damaged !== undefined) crashed.rot(path, offset + FRAME_BYTES / 2);
  const found = segmentBytes(crashed.createStorageIo(), DIRECTORY);

  const opening = crashed.createStorageIo();
  try {
    const again = await SegmentedWal.open({ ...config(opening), recoveryMode: scene.mode });
    const kept = new Set<number>();
    for await (const { lsn } of again.replay({ onHole: 'skip' })) kept.add(lsn);
    const report = again.recovery;
    await again.close();
    const fates = written.map((frame) => ({
      frame,
      found: foundOf(frame, found),
      after: afterOf(frame, kept, report),
    }));
    return { acknowledgedLsn, fates, report };
  } catch (refusal) {
    const fates = written.map((frame) => ({ frame, found: foundOf(frame, found), after: 'refused' as const }));
    return { acknowledgedLsn, fates, refusal: refusal as WalError };
  }
}

const frameOf = (frames: readonly Frame[], lsn: number | undefined): Frame | undefined =>
  frames.find((frame) => frame.kind === 'record' && frame.lsn === lsn);

/** Whether a sector of the segment that was not synced reaches the disk. */
function survives({ surviving = {} }: Scene, written: readonly Frame[], offset: number): boolean {
  return Object.entries(surviving).some(([lsn, [first, last]]) => {
    const start = frameOf(written, Number(lsn))?.offset ?? 0;
    return offset >= start + first * SECTOR_BYTES && offset <= start + last * SECTOR_BYTES;
  });
}

function foundOf({ offset, bytes }: Frame, found: Uint8Array): Fate['found'] {
  if (frameAt(found, offset) !== undefined) return 'whole';
  const there = found.subarray(offset, offset + bytes.length);
  if (there.every((byte) => byte === 0)) return 'missing';
  const different = there.filter((byte, index) => byte !== bytes[index]).length;
  return different === 1 ? 'damaged' : 'torn';
}

function afterOf(
  { kind, lsn }: Frame,
  kept: ReadonlySet<number>,
  { holes, lastLsn, salvage }: RecoveryReport,
): Fate['after'] {
  const gone = salvage === undefined ? 'cut' : 'given up';
  if (kind === 'mark') return lsn <= lastLsn + 1 ? 'kept' : gone;
  if (kept.has(lsn)) return 'kept';
  return holes.some(({ firstLsn, lastLsn: last }) => lsn >= firstLsn && lsn <= last) ? 'hole' : gone;
}
