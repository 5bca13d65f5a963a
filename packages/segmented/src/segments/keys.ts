import { type KeyRing, type Lsn, WalError } from '@walstack/codec';
import { ALWAYS_ENCRYPTED, loadKeys, opensRecord, type Segment } from '@walstack/mmap-reader/segments';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import type { Settings } from '../options.js';
import { isEmpty } from './segment.js';

/** Id of the key that new segments are encrypted with; 0 when they are not. */
export const currentKeyOf = (ring: KeyRing | undefined): number => ring?.currentId ?? 0;

/** Has the current key of a ring at hand. @throws `WAL_BAD_KEY` when it is not to be had */
export function* loadCurrentKey(ring: KeyRing | undefined, blocking: boolean): IoRoutine<void> {
  if (ring === undefined) return;
  yield* loadKeys(ring, [ring.currentId], blocking);
  requireKey(ring, ring.currentId, 'new segments are to be encrypted with it');
}

/** @throws `WAL_BAD_KEY` when a key is not in the ring */
export function requireKey(ring: KeyRing, keyId: number, why: string): void {
  if (ring.has(keyId)) return;
  throw new WalError('WAL_BAD_KEY', `key ${keyId} is not in the key ring, and ${why}: give a ring that has it`, {
    reason: 'missing-key',
    keyId,
  });
}

/**
 * Checks that a ring does not have another key in the place of one that opens records of the log.
 *
 * @param keyId - of these records; 0 where they are in the clear
 * @param before - the ring that has opened them; `undefined` where nothing was opened
 * @throws `WAL_BAD_KEY`
 */
export function refuseOtherKey(keyId: number, ring: KeyRing, before: KeyRing | undefined): void {
  if (before?.has(keyId) !== true || ring.shares(keyId, before)) return;
  throw new WalError(
    'WAL_BAD_KEY',
    `key ${keyId} of the key ring is not the one that the newest records of the log are encrypted with: give a ring that ` +
      'has it',
    { reason: 'wrong-key', keyId },
  );
}

/**
 * Checks that a log can be gone on with: that the key of its newest records is there and the right one, and that nothing
 * was put in the clear in place of what is encrypted. Empty segments are never refused. Nothing is changed.
 *
 * @param segments - the chain, from the oldest to the newest
 * @returns from which LSN on the log is encrypted; `undefined` where there is no ring
 * @throws `WAL_BAD_KEY`
 */
export function* checkKeys(
  io: StorageIo,
  { keyRing, allowPlaintext }: Pick<Settings, 'keyRing' | 'allowPlaintext'>,
  segments: readonly Segment[],
  blocking: boolean,
): IoRoutine<Lsn | undefined> {
  const kept = segments.filter((segment) => !isEmpty(segment));
  // From now on it is known that the header of the newest one is the one that was written.
  yield* checkNewestKey(io, { keyRing, allowPlaintext }, kept, blocking);
  if (keyRing === undefined) return undefined;
  if (!allowPlaintext) refusePlaintext(kept);
  return encryptionOf(kept);
}

/** Checks that the key of the newest records is there and the right one. @throws `WAL_BAD_KEY` */
export function* checkNewestKey(
  io: StorageIo,
  { keyRing, allowPlaintext }: Pick<Settings, 'keyRing' | 'allowPlaintext'>,
  segments: readonly Segment[],
  blocking: boolean,
): IoRoutine<void> {
  const newest = segments.findLast((segment) => !isEmpty(segment));
  if (newest?.header.encrypted !== true) return;
  yield* loadKeys(keyRing, [newest.header.keyId], blocking);
  yield* opensRecord(io, newest, keyRing, allowPlaintext, { limit: newest.end });
}

/**
 * From which LSN on a log is encrypted that is encrypted from now on, at least.
 *
 * @param segments - the chain, from the oldest to the newest
 */
export function encryptionOf(segments: readonly Segment[]): Lsn {
  const kept = segments.filter((segment) => !isEmpty(segment));
  const newest = kept.at(-1);
  if (newest === undefined) return ALWAYS_ENCRYPTED;
  // What came in the clear behind what is encrypted never counts as older.
  return kept.findLast(({ header }) => header.encrypted)?.header.encryptedFrom ?? newest.nextLsn;
}

/**
 * What a new segment says of the log before it: see `encryptedFrom` of its header.
 *
 * @param before - the segments that are kept, from the oldest to the newest
 * @param encryptedFrom - from which LSN on they are encrypted
 */
export function statementOf(before: readonly Segment[], encryptedFrom: Lsn, firstLsn: Lsn): Lsn {
  const oldest = before.find((segment) => !isEmpty(segment));
  // Where nothing in the clear is left, nothing in the clear is to come back.
  if (oldest === undefined || oldest.header.encrypted) return ALWAYS_ENCRYPTED;
  return Math.min(encryptedFrom, firstLsn);
}

/** Without a key, records can be put in the place of those of the log, and behind them, in the clear only. */
function refusePlaintext(segments: readonly Segment[]): void {
  const newest = segments.at(-1)?.header;
  const encryptedFrom = newest?.encrypted === true ? newest.encryptedFrom : ALWAYS_ENCRYPTED;
  const plain = segments.find(({ header, nextLsn }) => !header.encrypted && nextLsn > encryptedFrom);
  if (plain === undefined) return;
  const { path, header } = plain;
  const why =
    newest?.encrypted === true
      ? `though the log is from LSN ${encryptedFrom} on: the file was changed without the key, or allowPlaintext has to be set`
      : 'and nothing behind it is: the log was changed without the key, or it was not encrypted so far, and allowPlaintext ' +
        'has to be set until there is an encrypted record';
  throw new WalError('WAL_BAD_KEY', `${path} is not encrypted, ${why}; nothing was changed`, {
    path,
    lsn: Math.max(header.firstLsn, encryptedFrom),
    reason: 'plaintext',
  });
}
