import { join } from 'node:path';
import { FileName, type Lsn } from '@walstack/codec';
import { encodeFollowerFile, followerFileNames } from '@walstack/codec/internal';
import { runSync, type StorageIo } from '@walstack/storage-io';
import { replaceFile } from '@walstack/storage-io/internal';
import { DIRECTORY } from './logs.js';

/** The directory of the positions of followers. */
export const FOLLOWERS = join(DIRECTORY, FileName.followers);

/** Has a follower with this name need everything from an LSN on. */
export function follow(io: StorageIo, logId: Uint8Array, name: string, lsn: Lsn): void {
  const { draft, file } = followerFileNames(name);
  const slot = { logId, name, position: { lsn }, storedAtMs: 1 };
  const bytes = encodeFollowerFile({ older: slot, newer: slot });
  runSync(io, replaceFile(io, join(FOLLOWERS, draft), join(FOLLOWERS, file), bytes, 0o600));
}
