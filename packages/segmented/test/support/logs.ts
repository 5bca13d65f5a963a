import { SegmentedWal, type SegmentedWalConfig, type WalRecord } from '@walstack/segmented';
import { createMemoryStorageIo, type StorageIo } from '@walstack/storage-io';
import { TestEnvironment } from './environments.js';
import { type Snapshot, snapshot } from './files.js';

/** Where logs in memory are. */
export const DIRECTORY = '/log';

/** A log in memory that was killed or closed, and what is known of it. */
export interface Made {
  readonly files: Snapshot;
  /** Payloads by LSN; LSN 1 is at index 1. */
  readonly payloads: readonly (string | undefined)[];
  readonly lastLsn: number;
  readonly durableLsn: number;
}

/** How a small log is made. */
export interface Recipe {
  /** Groups of payload lengths; each is appended and synced. */
  readonly groups: readonly (readonly number[])[];
  /** Lengths appended and flushed, not synced, at the end. */
  readonly unsynced?: readonly number[];
  /** Close it, instead of leaving it as if killed. */
  readonly close?: boolean;
  readonly config?: Partial<SegmentedWalConfig>;
}

/** Payloads differ at every byte, from record to record, and hold no run of zeros. */
function payloadOf(lsn: number, length: number): string {
  return Array.from({ length }, (_, index) => String.fromCharCode(33 + ((lsn * 7 + index * 3) % 90))).join('');
}

/** Makes a small log. */
export function make({ groups, unsynced = [], close = false, config = {} }: Recipe): Made {
  const io = createMemoryStorageIo();
  const environment = new TestEnvironment();
  const wal = SegmentedWal.openSync({ directory: DIRECTORY, io, blockBytes: 512, ...environment.options, ...config });
  const payloads: (string | undefined)[] = [undefined];
  const append = (length: number): void => {
    const payload = payloadOf(payloads.length, length);
    payloads.push(payload);
    wal.append(payload);
  };
  for (const group of groups) {
    for (const length of group) append(length);
    wal.syncSync();
    environment.time += 3;
  }
  const { durableLsn } = wal;
  for (const length of unsynced) append(length);
  if (unsynced.length > 0) wal.flushSync();
  if (close) wal.closeSync();
  return {
    files: snapshot(io, DIRECTORY),
    payloads,
    lastLsn: payloads.length - 1,
    durableLsn: close ? payloads.length - 1 : durableLsn,
  };
}

/** Opens a log in memory. */
export function openIn(io: StorageIo, config: Partial<SegmentedWalConfig> = {}): SegmentedWal {
  return SegmentedWal.openSync({
    directory: DIRECTORY,
    io,
    blockBytes: 512,
    ...new TestEnvironment(2).options,
    ...config,
  });
}

/** The payloads of records, as text. */
export const texts = (records: Iterable<WalRecord>): string[] =>
  [...records].map(({ payload }) => Buffer.from(payload).toString());

/** Where each record of a segment stands, found by walking over it as the format says. */
export function recordsOf(
  bytes: Uint8Array,
  blockBytes = 512,
): { lsn: number; start: number; end: number; mark: boolean }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: { lsn: number; start: number; end: number; mark: boolean }[] = [];
  for (let at = blockBytes; at + 8 <= bytes.length; ) {
    const left = blockBytes - (at % blockBytes);
    const length = left < 8 ? 0 : view.getUint32(at, true);
    if (length === 0) {
      at += left;
      continue;
    }
    const end = at + 8 + length;
    found.push({ lsn: Number(view.getBigUint64(at + 8, true)), start: at, end, mark: view.getUint8(at + 26) === 16 });
    at = end;
  }
  return found;
}
