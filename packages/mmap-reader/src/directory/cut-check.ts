import type { Lsn } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import type { Link } from '../chain/chain.js';
import { readChainBesideWriter } from '../chain/chain-beside-writer.js';
import { cutBack } from '../chain/corruption.js';
import { findCut, type LastRead } from './resume-point.js';

/**
 * What a tail has read, to find out whether any of it was cut off: according to the writer of the log, which reports
 * cuts in its own process, or to the chain as it is now.
 */
export class CutCheck {
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
