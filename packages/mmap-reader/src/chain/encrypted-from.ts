import { type KeyRing, type Lsn, PayloadDecoder, RecordFlag, SegmentCipher } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { openStreamed, type ScanRange } from '../frames/open-scanner.js';
import type { DecodingSettings } from '../records/decoding.js';
import type { Link } from './chain.js';
import { loadKeys } from './load-keys.js';

/** The LSN from which a log is encrypted that has no plaintext records: every LSN is at least this. */
export const ALWAYS_ENCRYPTED: Lsn = 1;

/** How records are decoded, and from where on the log is encrypted. */
export interface Demands extends DecodingSettings {
  /** From which LSN on the log is encrypted, according to its writer. Default: what a segment of it proves. */
  readonly encryptedFrom?: (() => Lsn | undefined) | undefined;
}

/**
 * Whether the records of the first of some segments are older than the encryption of the log, and so may be plaintext:
 * this has to be known when there is a key ring and plaintext is not allowed in general.
 *
 * @param links - the end of the chain, from the segment in question to the newest one
 * @param endLsn - the LSN after the last record that is read from it
 * @param blocking - a key service that answers later cannot be waited for
 * @param signal - ends the waiting for a key service
 * @throws what {@link opensRecord} throws; the reason of `signal`
 */
export function* predatesEncryption(
  io: StorageIo,
  links: readonly Link[],
  endLsn: Lsn,
  { keyRing, allowPlaintext, encryptedFrom }: Demands,
  blocking: boolean,
  signal?: AbortSignal,
): IoRoutine<boolean> {
  if (keyRing === undefined || allowPlaintext === true || links[0]?.header.encrypted !== false) return false;
  return endLsn <= (encryptedFrom?.() ?? (yield* provenEncryptedFrom(io, links, keyRing, blocking, signal)));
}

/**
 * From which LSN on the records of a log are encrypted, according to its newest segment with records: when the key
 * opens one of them, its header was not changed by someone without the key. Without such a segment nothing is proven,
 * and no plaintext record is accepted.
 *
 * @param links - the end of the chain, from the oldest to the newest
 * @throws `WAL_BAD_KEY` when the key is missing, or does not open a record; `WAL_NOT_FOUND`, `WAL_TRUNCATED` where the
 * log changes meanwhile
 */
function* provenEncryptedFrom(
  io: StorageIo,
  links: readonly Link[],
  ring: KeyRing,
  blocking: boolean,
  signal: AbortSignal | undefined,
): IoRoutine<Lsn> {
  for (const link of links.toReversed()) {
    if (!link.header.encrypted) break;
    yield* loadKeys(ring, [link.header.keyId], blocking, signal);
    if (yield* opensRecord(io, link, ring, false)) return link.header.encryptedFrom;
    // This is the newest one, and has no record yet.
  }
  return ALWAYS_ENCRYPTED;
}

/**
 * Checks that the key of a segment opens its first encrypted record: then the key is the right one, and the header was
 * not changed.
 *
 * @param allowPlaintext - skip records that are not encrypted
 * @returns whether there is a record that was opened
 * @throws `WAL_BAD_KEY`
 */
export function* opensRecord(
  io: StorageIo,
  link: Link,
  ring: KeyRing | undefined,
  allowPlaintext: boolean,
  range: ScanRange = {},
): IoRoutine<boolean> {
  // The key is needed even if no record is encrypted: without it the header could have been changed.
  SegmentCipher.forSegment(link.header, ring, link.path);
  const decoder = new PayloadDecoder(link.header, link.path, { keyRing: ring, allowPlaintext });
  const scanner = yield* openStreamed(io, link, range);
  const { frames } = scanner;
  try {
    while (yield* scanner.fill()) {
      while (frames.next()) {
        if (frames.isMark) continue;
        decoder.decrypt(frames.record, frames.head(), frames.body(), frames.position);
        if ((frames.flags & RecordFlag.encrypted) !== 0) return true;
      }
    }
    return false;
  } finally {
    scanner.close();
  }
}
