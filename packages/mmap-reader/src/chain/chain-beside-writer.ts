import { type Lsn, WalError } from '@walstack/codec';
import { settled } from '@walstack/codec/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { hasExpired, type ReadFrom } from './behind-checkpoint.js';
import { type ChainEnd, followChain, type Link } from './chain.js';
import { truncated } from './chain-errors.js';
import { checkpointOf, listFiles, refuseUnfinishedBackup, refuseUnfinishedSalvage } from './log-files.js';

/** How the chain of a log is read. */
export interface ReadingOfChain {
  /**
   * Whether a truncation that is announced counts, although nothing was removed yet. Default `false`: the log begins where it
   * began before.
   */
  readonly countsAnnounced?: boolean;
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
  { countsAnnounced = false }: ReadingOfChain = {},
): IoRoutine<ChainEnd> {
  let before: { readonly seen: string; readonly error: WalError } | undefined;
  for (;;) {
    const names = io.list(directory);
    let seen = names.join('/');
    try {
      const files = listFiles(io, directory, names);
      const stored = yield* checkpointOf(io, directory, files);
      seen += `/${stored?.firstSegment}/${stored?.unsettled?.firstSegment}`;
      refuseUnfinishedSalvage(directory, files);
      refuseUnfinishedBackup(directory, files);
      if (files.segments.length === 0) throw noLog(directory);
      const checkpoint = stored === undefined || !countsAnnounced ? stored : settled(stored);
      return yield* followChain(io, directory, files.segments, checkpoint, isEnough);
    } catch (error) {
      if (!WalError.is(error)) throw error;
      // A different failure may be a passing one, too.
      if (seen === before?.seen && isSameFailure(error, before.error)) throw error;
      before = { seen, error };
    }
  }
}

/** The chain from the segment on that contains the first LSN wanted. */
export interface ChainFrom extends ChainEnd {
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
  reading: ReadingOfChain = {},
): IoRoutine<ChainFrom> {
  const checkpointLsn = from === 'checkpoint' ? yield* readCheckpointLsn(io, directory) : 0;
  const least = from === 'checkpoint' ? checkpointLsn + 1 : from;
  const isEnough = ({ header }: Link): boolean =>
    least !== 'first' && header.firstLsn <= least && header.number <= number;
  const { links, checkpoint } = yield* readChainBesideWriter(io, directory, isEnough, reading);
  // Lowered by a cut meanwhile: its LSN may be one of other records now.
  if ((checkpoint?.checkpointLsn ?? 0) < checkpointLsn) {
    return yield* readChainFrom(io, directory, from, number, check, reading);
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
