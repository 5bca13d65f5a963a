import { type KeyRing, type Lsn, WalError } from '@walstack/codec';
import { ALWAYS_ENCRYPTED, loadKeys, opensRecord, type Segment } from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import type { Settings } from '../options.js';
import { isEmpty } from './segment.js';

/** Id of the key that encrypts new segments; 0 when they are not encrypted. */
export const currentKeyOf = (ring: KeyRing | undefined): number => ring?.currentId ?? 0;

/** Loads the current key of a ring. @throws `WAL_BAD_KEY` when the ring does not have it */
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
 * Checks that a ring does not have a different key under the id of one that records of the log are encrypted with.
 *
 * @param keyId - of these records; 0 for plaintext
 * @param before - the ring that was used so far; `undefined` when there was none
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
 * Checks that the log can be continued: the ring has the right key of the newest records, and no encrypted segment was
 * replaced by a plaintext one. Empty segments are never rejected. Nothing is changed.
 *
 * @param segments - the chain, from the oldest to the newest
 * @returns the LSN from which on the log is encrypted; `undefined` without a ring
 * @throws `WAL_BAD_KEY`
 */
export function* checkKeys(
  io: StorageIo,
  { keyRing, allowPlaintext }: Pick<Settings, 'keyRing' | 'allowPlaintext'>,
  segments: readonly Segment[],
  blocking: boolean,
): IoRoutine<Lsn | undefined> {
  const kept = segments.filter((segment) => !isEmpty(segment));
  // From here on the header of the newest segment is authenticated.
  yield* checkNewestKey(io, { keyRing, allowPlaintext }, kept, blocking);
  if (keyRing === undefined) return undefined;
  if (!allowPlaintext) refusePlaintext(kept);
  return encryptionOf(kept);
}

/** Checks that the ring has the right key of the newest records. @throws `WAL_BAD_KEY` */
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
 * The LSN from which on a log is encrypted whose next segments will be encrypted.
 *
 * @param segments - the chain, from the oldest to the newest
 */
export function encryptionOf(segments: readonly Segment[]): Lsn {
  const kept = segments.filter((segment) => !isEmpty(segment));
  const newest = kept.at(-1);
  if (newest === undefined) return ALWAYS_ENCRYPTED;
  // A plaintext segment behind an encrypted one never counts as older than the encryption.
  return kept.findLast(({ header }) => header.encrypted)?.header.encryptedFrom ?? newest.nextLsn;
}

/**
 * The value of `encryptedFrom` in the header of a new segment.
 *
 * @param before - the segments that are kept, from the oldest to the newest
 * @param encryptedFrom - the LSN from which on they are encrypted
 */
export function statementOf(before: readonly Segment[], encryptedFrom: Lsn, firstLsn: Lsn): Lsn {
  const oldest = before.find((segment) => !isEmpty(segment));
  // Once the log has no plaintext records left, none is accepted any more.
  if (oldest === undefined || oldest.header.encrypted) return ALWAYS_ENCRYPTED;
  return Math.min(encryptedFrom, firstLsn);
}

/**
 * Rejects plaintext segments that are not proven to be older than the encryption: without a key, only plaintext can be
 * forged.
 */
function refusePlaintext(segments: readonly Segment[]): void {
  const newest = segments.at(-1)?.header;
  const encryptedFrom = newest?.encrypted === true ? newest.encryptedFrom : ALWAYS_ENCRYPTED;
  const plain = segments.find(({ header, nextLsn }) => !header.encrypted && nextLsn > encryptedFrom);
  if (plain === undefined) return;
  const { path, header } = plain;
  const why =
    newest?.encrypted === true
      ? `although the log is encrypted from LSN ${encryptedFrom} on: if the file was not tampered with, set allowPlaintext`
      : 'and no later segment proves that it was written before the log was encrypted: if the log was not encrypted so ' +
        'far, set allowPlaintext until it has an encrypted record';
  throw new WalError('WAL_BAD_KEY', `${path} is not encrypted, ${why}; nothing was changed`, {
    path,
    lsn: Math.max(header.firstLsn, encryptedFrom),
    reason: 'plaintext',
  });
}
