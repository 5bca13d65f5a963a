import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeCheckpoint, encodeCheckpoint, FileName } from '@walstack/codec';
import type { Wal, WalFollower } from '@walstack/wal';

/** Options of logs that followers with names read: some twelve of the events of {@link commit} to a segment. */
export const small = { segmentBytes: 4096, blockBytes: 512, recycleSegments: 0, encoding: 'utf8' } as const;

/** Commits events of 300 bytes, each of which begins with its LSN. */
export async function commit(wal: Wal<string>, count: number, type = 0): Promise<void> {
  for (let each = 0; each < count; each++) await wal.commit(`${wal.lastLsn + 1}`.padEnd(300, '.'), { type });
}

/** The LSN of the last of the next `count` events. */
export async function take(follower: WalFollower<{ readonly lsn: number }>, count = 1): Promise<number> {
  for (let left = count; ; left--) {
    const { value } = await follower.next();
    if (value === undefined) throw new Error('it has ended');
    if (left === 1) return value.lsn;
  }
}

/** The checkpoint of a log, its bytes, and a function that replaces it. */
export function checkpointOf(directory: string) {
  const path = join(directory, FileName.checkpoint);
  const bytes = readFileSync(path);
  const checkpoint = decodeCheckpoint(bytes, path);
  return {
    checkpoint,
    bytes,
    replace: (next: typeof checkpoint | Uint8Array) =>
      writeFileSync(path, next instanceof Uint8Array ? next : encodeCheckpoint(next)),
  };
}
