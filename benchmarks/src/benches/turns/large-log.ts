import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseSegmentFileName } from '@walstack/codec';
import { Wal, type WalOptions } from '@walstack/wal';
import { RECORD_BYTES } from '../../payloads/records.js';
import { appendingTo } from '../../subjects/walstack.js';
import { appendRange } from '../append/append.js';

/** Bytes of a record in a log. */
export const FRAME_BYTES = RECORD_BYTES + 32;

/** A log that is read, and how many records it has. */
export interface LargeLog {
  readonly path: string;
  readonly records: number;
}

/** The bytes of the segments in a directory and in those below it. */
export function bytesOf(path: string): number {
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
  const segments = names.filter((name) => parseSegmentFileName(name.split('/').at(-1) ?? '') !== undefined);
  return segments.reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
}

/** Makes a log of records of the usual size, with about so many bytes. */
export async function makeLog(path: string, bytes: number, options: WalOptions): Promise<LargeLog> {
  const records = Math.ceil(bytes / FRAME_BYTES);
  const wal = await Wal.open(path, { io: 'thread-pool', ...options });
  const log = appendingTo(wal);
  await appendRange(log, 1, records, RECORD_BYTES);
  await log.close();
  return { path, records };
}

/** Makes something when it is wanted for the first time. */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
