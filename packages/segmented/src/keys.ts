import { type KeyRing, PayloadDecoder, SegmentCipher, WalError } from '@walstack/codec';
import { loadKeys, openStreamed, type Segment } from '@walstack/mmap-reader/segments';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import type { Settings } from './options.js';
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
 * Checks that a log can be gone on with: that the key of its newest records is there and the right one, and that no
 * segment was replaced by one that is not encrypted. Empty segments are never refused. Nothing is changed.
 *
 * @param segments - the chain, from the oldest to the newest
 * @throws `WAL_BAD_KEY`
 */
export function* checkKeys(
  io: StorageIo,
  { keyRing, allowPlaintext }: Pick<Settings, 'keyRing' | 'allowPlaintext'>,
  segments: readonly Segment[],
  blocking: boolean,
): IoRoutine<void> {
  const kept = segments.filter((segment) => !isEmpty(segment));
  if (keyRing !== undefined && !allowPlaintext) refuseDowngrade(kept);
  const newest = kept.at(-1);
  if (newest?.header.encrypted !== true) return;
  yield* loadKeys(keyRing, [newest.header.keyId], blocking);
  yield* openFirstRecord(io, newest, keyRing);
}

/** Somebody who has no key could put records of their own behind those of the log. */
function refuseDowngrade(segments: readonly Segment[]): void {
  const encrypted = segments.findIndex(({ header }) => header.encrypted);
  const plain = segments.slice(encrypted).find(({ header }) => !header.encrypted);
  if (encrypted === -1 || plain === undefined) return;
  const { path, header } = plain;
  throw new WalError(
    'WAL_BAD_KEY',
    `${path} is not encrypted, though it continues a log that is: somebody put it there, or allowPlaintext has to be set; ` +
      'nothing was changed',
    { path, lsn: header.firstLsn, reason: 'plaintext' },
  );
}

/** Shows that the key is the one that a segment was encrypted with. */
function* openFirstRecord(io: StorageIo, segment: Segment, ring: KeyRing | undefined): IoRoutine<void> {
  // Asked for the key also where no record needs it: nothing shows that this one was not tampered with.
  SegmentCipher.forSegment(segment.header, ring, segment.path);
  const decoder = new PayloadDecoder(segment.header, segment.path, { keyRing: ring, allowPlaintext: true });
  const scanner = yield* openStreamed(io, segment, { limit: segment.end });
  const { frames } = scanner;
  try {
    while (yield* scanner.fill()) {
      while (frames.next()) {
        if (frames.isMark) continue;
        decoder.decrypt(frames.record, frames.head(), frames.body(), frames.position);
        return;
      }
    }
  } finally {
    scanner.close();
  }
}
