import { type Checkpoint, type Lsn, WalError } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { followChain, type Link } from './chain.js';
import { truncated } from './corruption.js';
import type { DecodingSettings } from './decoding.js';
import { readCheckpoint, sortFiles } from './log-files.js';

/** What a reader beside a writer sees of a log at one moment. */
export interface ChainBesideWriter {
  /** The end of the chain, from the oldest to the newest segment; at least one. */
  readonly links: readonly Link[];
  readonly checkpoint: Checkpoint | undefined;
}

/**
 * Reads the end of a log's chain beside whoever writes it. What does not fit together may have changed while it was
 * read: it is an error only when the directory is the same as before.
 *
 * @param isEnough - asked from the newest segment on whether older ones are of no interest
 * @throws `WAL_NOT_FOUND` where there is no segment; what `readChain` throws
 */
export function* readChainBesideWriter(
  io: StorageIo,
  directory: string,
  isEnough: (link: Link) => boolean,
): IoRoutine<ChainBesideWriter> {
  let before: string | undefined;
  for (;;) {
    const names = io.list(directory);
    let seen = names.join('/');
    try {
      const files = sortFiles(names);
      const checkpoint = files.checkpoint ? yield* readCheckpoint(io, directory) : undefined;
      seen += `/${checkpoint?.firstSegment}`;
      if (files.segments.length === 0) throw noLog(directory);
      return { links: yield* followChain(io, directory, files.segments, checkpoint, isEnough), checkpoint };
    } catch (error) {
      if (!WalError.is(error) || seen === before) throw error;
      before = seen;
    }
  }
}

/** The end of a chain from the segment on that holds an LSN. */
export interface ChainFrom extends ChainBesideWriter {
  /** Whether a segment before it is encrypted. */
  readonly followsEncrypted: boolean;
}

/**
 * Reads the chain beside its writer from the segment on that holds an LSN. Who has keys and demands that everything is
 * encrypted behind what is looks at the headers of all segments; others at no more than they need.
 *
 * @throws `WAL_TRUNCATED` when the LSN was removed; what {@link readChainBesideWriter} throws
 */
export function* readChainFrom(
  io: StorageIo,
  directory: string,
  from: Lsn | 'first',
  { keyRing, allowPlaintext }: DecodingSettings,
): IoRoutine<ChainFrom> {
  const demands = keyRing !== undefined && allowPlaintext !== true;
  const isEnough = ({ header }: Link): boolean => !demands && from !== 'first' && header.firstLsn <= from;
  const { links, checkpoint } = yield* readChainBesideWriter(io, directory, isEnough);
  const first = (links[0] as Link).header.firstLsn;
  if (from !== 'first' && first > from) throw truncated(from, first);
  const index = from === 'first' ? 0 : links.findLastIndex(({ header }) => header.firstLsn <= from);
  const followsEncrypted = links.slice(0, index).some(({ header }) => header.encrypted);
  return { links: links.slice(index), checkpoint, followsEncrypted };
}

function noLog(directory: string): WalError {
  return new WalError('WAL_NOT_FOUND', `no log at ${directory}: there is no segment in it`, { path: directory });
}
