import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { ioSteps, runAsync, type StorageIo } from '@walstack/storage-io';
import { directoryFor } from '../../../../harness/test-kit/backends.js';

/** A log of several segments, and where its backups go. */
export interface BackedUpLog {
  readonly io: StorageIo;
  readonly config: Omit<SegmentedWalConfig, 'directory'> & { readonly directory: string };
  readonly wal: SegmentedWal;
  /** A directory beside that of the log, at which there is nothing yet. */
  readonly beside: (name: string) => string;
  /** Appends records up to this LSN, so many to a sync. */
  readonly fill: (to: number, by?: string) => Promise<void>;
}

/** Opens a log of small segments on a backend. */
export async function openBackedUp(
  io: StorageIo,
  more: Partial<Omit<SegmentedWalConfig, 'directory'>> = {},
): Promise<BackedUpLog> {
  const directory = directoryFor(io);
  const config = { directory, io, segmentBytes: 4096, blockBytes: 512, markAfterMs: 0, ...more };
  const wal = await SegmentedWal.open(config);
  const fill = async (to: number, by = 'record'): Promise<void> => {
    while (wal.nextLsn <= to) {
      wal.append(`${by} ${wal.nextLsn}`.padEnd(300));
      if (wal.nextLsn % 3 === 0) await wal.sync();
    }
    await wal.sync();
  };
  return { io, config, wal, fill, beside: (name) => join(directory, '..', name) };
}

/** LSN and payload of every record of a log that is only read. */
export async function readAll(io: StorageIo, directory: string, more: Partial<SegmentedWalConfig> = {}) {
  const wal = await SegmentedWal.open({ directory, io, recoveryMode: 'readonly', ...more });
  try {
    return await recordsIn(wal);
  } finally {
    await wal.close();
  }
}

/** LSN and payload of every record. */
export async function recordsIn(wal: SegmentedWal): Promise<string[]> {
  const found: string[] = [];
  for await (const { lsn, payload } of wal.replay()) found.push(`${lsn}: ${Buffer.from(payload).toString().trim()}`);
  return found;
}

/** What {@link BackedUpLog.fill} has appended. */
export const filled = (from: number, to: number, by = 'record'): string[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => `${from + index}: ${by} ${from + index}`);

/** The names of a directory's files, but for its lock, with a hash of the bytes of each. */
export async function hashes(io: StorageIo, directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of io.list(directory)) {
    if (name.startsWith('LOCK')) continue;
    const file = io.open(join(directory, name), { readOnly: true });
    const bytes = new Uint8Array(io.size(file));
    await runAsync(io, ioSteps.read(io, file, bytes, 0));
    io.close(file);
    found[name] = createHash('sha256').update(bytes).digest('hex');
  }
  return found;
}
