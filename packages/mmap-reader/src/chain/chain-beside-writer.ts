import { type Checkpoint, type Lsn, WalError } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { followChain, type Link } from './chain.js';
import { truncated } from './corruption.js';
import { listFiles, readCheckpoint, refuseUnfinishedSalvage } from './log-files.js';

/** What a reader beside a writer sees of a log at one moment. */
export interface ChainBesideWriter {
  /** The end of the chain, from the oldest to the newest segment; at least one. */
  readonly links: readonly Link[];
  readonly checkpoint: Checkpoint | undefined;
}

/**
 * Reads the end of a log's chain while a writer may be active. What is inconsistent may have changed while it was read:
 * it is an error only when it is found twice in a directory that has not changed.
 *
 * @param isEnough - called from the newest segment backwards: returns whether older ones are not needed
 * @throws `WAL_NOT_FOUND` where there is no segment; what `readChain` throws
 */
export function* readChainBesideWriter(
  io: StorageIo,
  directory: string,
  isEnough: (link: Link) => boolean,
): IoRoutine<ChainBesideWriter> {
  let before: { readonly seen: string; readonly error: WalError } | undefined;
  for (;;) {
    const names = io.list(directory);
    let seen = names.join('/');
    try {
      const files = listFiles(io, directory, names);
      const checkpoint = files.checkpoint ? yield* readCheckpoint(io, directory) : undefined;
      seen += `/${checkpoint?.firstSegment}`;
      refuseUnfinishedSalvage(directory, files);
      if (files.segments.length === 0) throw noLog(directory);
      return { links: yield* followChain(io, directory, files.segments, checkpoint, isEnough), checkpoint };
    } catch (error) {
      if (!WalError.is(error)) throw error;
      // A different failure may be a passing one, too.
      if (seen === before?.seen && isSameFailure(error, before.error)) throw error;
      before = { seen, error };
    }
  }
}

/**
 * Reads the chain beside its writer, from the segment that contains an LSN on.
 *
 * @param number - the number of a segment down to which the headers are read in any case
 * @param check - checks the links, those before that segment included; it runs before `WAL_TRUNCATED` is thrown
 * @throws `WAL_TRUNCATED` when the LSN was removed; what {@link readChainBesideWriter} throws
 */
export function* readChainFrom(
  io: StorageIo,
  directory: string,
  from: Lsn | 'first',
  number = Number.POSITIVE_INFINITY,
  check?: (links: readonly Link[]) => IoRoutine<void>,
): IoRoutine<ChainBesideWriter> {
  const isEnough = ({ header }: Link): boolean =>
    from !== 'first' && header.firstLsn <= from && header.number <= number;
  const { links, checkpoint } = yield* readChainBesideWriter(io, directory, isEnough);
  if (check !== undefined) yield* check(links);
  const first = (links[0] as Link).header.firstLsn;
  if (from !== 'first' && first > from) throw truncated(from, first);
  const index = from === 'first' ? 0 : links.findLastIndex(({ header }) => header.firstLsn <= from);
  return { links: links.slice(index), checkpoint };
}

function noLog(directory: string): WalError {
  return new WalError('WAL_NOT_FOUND', `no log at ${directory}: there is no segment in it`, { path: directory });
}

const isSameFailure = (a: WalError, b: WalError): boolean =>
  a.code === b.code && a.path === b.path && a.lsn === b.lsn && a.reason === b.reason;
