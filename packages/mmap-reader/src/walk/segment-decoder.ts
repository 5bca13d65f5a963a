import { type Lsn, PayloadDecoder } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import type { Link } from '../chain/chain.js';
import { type Demands, predatesEncryption } from '../chain/encrypted-from.js';
import { loadKeys } from '../chain/load-keys.js';

/** The decoder of a segment's records, and what was found out for it. */
export interface SegmentDecoder {
  readonly decoder: PayloadDecoder;
  /** Whether the segment is older than the encryption of its log: its plaintext records are accepted. */
  readonly predatesEncryption: boolean;
}

/**
 * Makes the decoder of the first of some segments, and loads that segment's key.
 *
 * @param links - the end of the chain, from the segment to the newest one; the segment alone when `demands` say from
 * where on the log is encrypted
 * @param endLsn - the LSN after the last record that is read from the segment
 * @param blocking - a key service that answers later cannot be waited for
 * @param signal - ends the waiting for a key service
 * @throws `WAL_BAD_KEY`; `WAL_UNSUPPORTED` when a key cannot be loaded in a blocking call; `WAL_NOT_FOUND`,
 * `WAL_TRUNCATED` where the log changes meanwhile; the reason of `signal`
 */
export function* makeSegmentDecoder(
  io: StorageIo,
  links: readonly Link[],
  endLsn: Lsn,
  demands: Demands,
  blocking: boolean,
  signal: AbortSignal | undefined,
): IoRoutine<SegmentDecoder> {
  const { path, header } = links[0] as Link;
  const { keyRing, allowPlaintext, maxPayloadBytes } = demands;
  if (header.encrypted) yield* loadKeys(keyRing, [header.keyId], blocking, signal);
  const predates = yield* predatesEncryption(io, links, endLsn, demands, blocking, signal);
  const options = { keyRing, allowPlaintext, maxPayloadBytes, predatesEncryption: predates };
  return { decoder: new PayloadDecoder(header, path, options), predatesEncryption: predates };
}
