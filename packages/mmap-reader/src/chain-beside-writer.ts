import { type Checkpoint, type Lsn, WalError } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { followChain, type Link } from './chain.js';
import { truncated } from './corruption.js';
import { readCheckpoint, refuseUnfinishedSalvage, sortFiles } from './log-files.js';

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
      refuseUnfinishedSalvage(directory, files);
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
  /** The same links, and those before them that were looked at. */
  readonly seen: readonly Link[];
}

/**
 * Reads the chain beside its writer from the segment on that holds an LSN.
 *
 * @param number - of a segment down to which the headers are wanted in any case
 * @throws `WAL_TRUNCATED` when the LSN was removed; what {@link readChainBesideWriter} throws
 */
export function* readChainFrom(
  io: StorageIo,
  directory: string,
  from: Lsn | 'first',
  number = Number.POSITIVE_INFINITY,
): IoRoutine<ChainFrom> {
  const isEnough = ({ header }: Link): boolean =>
    from !== 'first' && header.firstLsn <= from && header.number <= number;
  const { links, checkpoint } = yield* readChainBesideWriter(io, directory, isEnough);
  const first = (links[0] as Link).header.firstLsn;
  if (from !== 'first' && first > from) throw truncated(from, first);
  const index = from === 'first' ? 0 : links.findLastIndex(({ header }) => header.firstLsn <= from);
  return { links: links.slice(index), checkpoint, seen: links };
}

function noLog(directory: string): WalError {
  return new WalError('WAL_NOT_FOUND', `no log at ${directory}: there is no segment in it`, { path: directory });
}
