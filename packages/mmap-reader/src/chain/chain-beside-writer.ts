import { type Checkpoint, type Lsn, WalError } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { hasExpired, type ReadFrom } from './behind-checkpoint.js';
import { followChain, type Link } from './chain.js';
import { truncated } from './corruption.js';
import { listFiles, readCheckpoint, refuseUnfinishedBackup, refuseUnfinishedSalvage } from './log-files.js';

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
      refuseUnfinishedBackup(directory, files);
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

/** The chain from the segment on that contains the first LSN wanted. */
export interface ChainFrom extends ChainBesideWriter {
  /** The first LSN wanted. */
  readonly firstWanted: Lsn;
  /** The links before these, as far as they were read. */
  readonly before: readonly Link[];
}

/**
 * Reads the chain beside its writer, from the segment that contains the first LSN wanted on.
 *
 * @param number - the number of a segment down to which the headers are read in any case
 * @param check - checks the links, those before that segment included; it runs before `WAL_TRUNCATED` is thrown
 * @throws `WAL_TRUNCATED` when the LSN was removed; what {@link readChainBesideWriter} throws
 */
export function* readChainFrom(
  io: StorageIo,
  directory: string,
  from: ReadFrom,
  number = Number.POSITIVE_INFINITY,
  check?: (links: readonly Link[]) => IoRoutine<void>,
): IoRoutine<ChainFrom> {
  const checkpointLsn = from === 'checkpoint' ? yield* readCheckpointLsn(io, directory) : 0;
  const least = from === 'checkpoint' ? checkpointLsn + 1 : from;
  const isEnough = ({ header }: Link): boolean =>
    least !== 'first' && header.firstLsn <= least && header.number <= number;
  const { links, checkpoint } = yield* readChainBesideWriter(io, directory, isEnough);
  // Lowered by a cut meanwhile: its LSN may be one of other records now.
  if ((checkpoint?.checkpointLsn ?? 0) < checkpointLsn) {
    return yield* readChainFrom(io, directory, from, number, check);
  }
  if (check !== undefined) yield* check(links);
  const first = links[0] as Link;
  const { firstLsn } = first.header;
  if (least === 'first') return { links, checkpoint, firstWanted: firstLsn, before: [] };
  const isBefore = firstLsn > least;
  if (isBefore && (from !== 'checkpoint' || hasExpired(checkpoint, first.header.number, least))) {
    throw truncated(least, firstLsn);
  }
  const firstWanted = Math.max(least, firstLsn);
  const index = links.findLastIndex(({ header }) => header.firstLsn <= firstWanted);
  return { links: links.slice(index), checkpoint, firstWanted, before: links.slice(0, index) };
}

/**
 * The LSN of the checkpoint; 0 when there is none. Read before the chain, which then contains it, unless it is lowered
 * meanwhile.
 */
function* readCheckpointLsn(io: StorageIo, directory: string): IoRoutine<Lsn> {
  const { checkpoint } = yield* readChainBesideWriter(io, directory, () => true);
  return checkpoint?.checkpointLsn ?? 0;
}

function noLog(directory: string): WalError {
  return new WalError('WAL_NOT_FOUND', `no log at ${directory}: there is no segment in it`, { path: directory });
}

const isSameFailure = (a: WalError, b: WalError): boolean =>
  a.code === b.code && a.path === b.path && a.lsn === b.lsn && a.reason === b.reason;
