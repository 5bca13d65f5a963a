import type { Lsn } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import type { Link } from '../chain/chain.js';
import { readChainBesideWriter } from '../chain/chain-beside-writer.js';
import { cutBack } from '../chain/chain-errors.js';
import { fingerprintOf, type LastRead } from './resume-point.js';

/**
 * How a tail, and a follower with it, learns that something it has read was cut off: from the writer of the log, which reports cuts
 * in its own process (`SegmentedWal.keepFor`, then `LogTail.cutAfter`), or from the chain as it is now ({@link findCut}). A
 * restored copy that has gone on in the same segment is recognised by its sessions (`TailSegments.checkSession`).
 */
export class FollowerCutDetection {
  /** The last record read before the current segment was opened; `undefined` before the log was found. */
  lastRead: LastRead | undefined;
  /** Whether `lastRead` was found in the log: from then on a writer that reports cuts has reported all that matter. */
  #wasSeen = false;
  /** The log was cut off after this LSN, as its writer reported; not handled yet. */
  #reported: { readonly lsn: Lsn } | undefined;

  constructor(lastRead: LastRead | undefined) {
    this.lastRead = lastRead;
  }

  /** The log was cut off after `lastLsn`, according to its writer. */
  report(lastLsn: Lsn): void {
    this.#reported = { lsn: Math.min(lastLsn, this.#reported?.lsn ?? lastLsn) };
  }

  /** The cut that was reported and not handled yet. */
  get reported(): { readonly lsn: Lsn } | undefined {
    return this.#reported;
  }

  /** A reported cut was compared with the chain: only a later one is still to be handled. */
  handled(cut: { readonly lsn: Lsn } | undefined): void {
    if (this.#reported === cut) this.#reported = undefined;
  }

  /** The log was found. @param lastRead - the last record before those to be read, when none was read yet */
  found(lastRead: LastRead): void {
    this.#wasSeen = true;
    this.lastRead ??= lastRead;
  }

  /** @throws `WAL_TRUNCATED` when something up to `lastRead` has been cut off */
  *check(io: StorageIo, directory: string, links: readonly Link[], lastRead: LastRead | undefined): IoRoutine<void> {
    if (lastRead === undefined) return;
    const lsn = this.#firstCut(links, lastRead);
    if (lsn === undefined) return;
    const { links: all } = yield* readChainBesideWriter(io, directory, () => false);
    // More may have been cut off meanwhile.
    const again = this.#firstCut(all, lastRead) ?? lsn;
    throw cutBack(Math.min(lsn, again), lastRead.lsn, (all[0] as Link).header.firstLsn);
  }

  /** The first LSN of what was read that was cut off, according to the writer or the chain; `undefined` when none was. */
  #firstCut(links: readonly Link[], lastRead: LastRead): Lsn | undefined {
    const reported =
      this.#reported === undefined || this.#reported.lsn >= lastRead.lsn ? undefined : this.#reported.lsn + 1;
    if (reported !== undefined && this.#wasSeen) return reported;
    const seen = findCut(links, lastRead);
    return reported === undefined || seen === undefined ? (reported ?? seen) : Math.min(reported, seen);
  }
}

/**
 * Compares what was read with the chain as it is now. A segment number is never used twice, and a segment that was cut
 * off never returns to the chain. So the first segment after the one last read shows where the log differs from what
 * was read, and its predecessor shows whether segments in between were removed since.
 *
 * @param links - from the oldest segment on, or from one whose number is at most that of the segment last read
 * @returns the first LSN of what was read that was cut off, 1 when it is not known which; `undefined` when none was
 */
export function findCut(links: readonly Link[], known: LastRead): Lsn | undefined {
  const own = links.find(({ header }) => header.number === known.number)?.header;
  const next = links.find(({ header }) => header.number > known.number)?.header;
  // It is another log, or a copy of it that was written independently.
  if (own !== undefined && fingerprintOf(own.segmentId) !== known.id) return 1;
  if (next === undefined) return own === undefined ? 1 : undefined;
  const before = next.predecessor?.number ?? 0;
  // The log began anew after the segment last read, at whatever LSN.
  if (next.predecessor === undefined && known.number > 0) return 1;
  if (next.firstLsn <= known.lsn) {
    // Where segments were removed before it, the cut may have been in any of them.
    return before > 0 && before <= known.number ? next.firstLsn : 1;
  }
  if (next.firstLsn > known.lsn + 1) return undefined;
  // It begins right after the last record read: so its predecessor has to be the segment last read.
  const isSame =
    before === known.number && (next.predecessor === undefined || fingerprintOf(next.predecessor.id) === known.id);
  return isSame ? undefined : 1;
}
