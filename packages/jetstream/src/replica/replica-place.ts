import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { WalError } from '@walstack/codec';
import { decodeFramedJson, encodeFramedJson } from '@walstack/codec/internal';
import { FILE_MODE_DEFAULT } from '@walstack/storage-io/internal';
import { ifThere, type SegmentPlace, syncDirectory } from '../restore/segment-files.js';

const FILE = 'replica';
const DRAFT = 'replica.new';

/** How far a replica is: everything up to there is durable in its files. */
export interface ReplicaPlace extends SegmentPlace {
  /** The name of the stream, and the sequence of the last message of it. */
  readonly stream: string;
  readonly sequence: number;
  /** Of the bytes of that message, or of the last part of it. */
  readonly hash: string;
}

/** Before the first segment: it begins there again. */
export const NOWHERE: SegmentPlace = { segment: 0, end: 0, nextLsn: 1 };

/** The hash in a {@link ReplicaPlace}. */
export const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** How far the replica in a directory is; `undefined` when there is none. @throws `WAL_CORRUPT` */
export async function readPlace(directory: string): Promise<ReplicaPlace | undefined> {
  const path = join(directory, FILE);
  const bytes = await ifThere(readFile(path));
  if (bytes === undefined) return undefined;
  const place = decodeFramedJson(bytes, (reason) => damagedPlace(path, reason)) as ReplicaPlace & { version: number };
  if (place?.version !== 1) throw damagedPlace(path, 'version');
  return place;
}

/** Stores how far a replica is, durably. */
export async function writePlace(directory: string, place: ReplicaPlace): Promise<void> {
  const draft = join(directory, DRAFT);
  const file: FileHandle = await open(draft, 'w', FILE_MODE_DEFAULT);
  try {
    await file.writeFile(encodeFramedJson({ version: 1, ...place }));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, join(directory, FILE));
  await syncDirectory(directory);
}

function damagedPlace(path: string, reason: string): WalError {
  return new WalError('WAL_CORRUPT', `${path} is damaged (${reason}): begin with an empty directory`, { path, reason });
}
