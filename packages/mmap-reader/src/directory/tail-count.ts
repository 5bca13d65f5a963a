import type { Lsn } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { isTurnDue, TURN } from '@walstack/storage-io/internal';
import type { Link } from '../chain/chain.js';
import type { WalProgress } from '../walk/call-watch.js';
import { sizeOf } from './replay-progress.js';

/** Counts what a tail reads until it has reached the end of the log for the first time. */
export class TailCount {
  readonly #io: StorageIo;
  /** The sizes of the segments by their numbers. */
  readonly #sizes = new Map<number, number>();
  #passed = 0;
  #total = 0;
  /** The number of the segment that is read. */
  #number: number | undefined;
  #bytes = 0;
  /** The first LSN that is read. */
  #from: Lsn | undefined;

  constructor(io: StorageIo) {
    this.#io = io;
  }

  /** The tail reads the first of these segments from now on. @param nextLsn - the next record */
  *enter(links: readonly Link[], nextLsn: Lsn): IoRoutine<void> {
    this.#from ??= nextLsn;
    const number = links[0]?.header.number;
    if (this.#number !== undefined && number !== this.#number) this.#passed += this.#sizes.get(this.#number) ?? 0;
    this.#number = number;
    for (let index = links.length - 1; index >= 0; index--) {
      const { path, header } = links[index] as Link;
      if (this.#sizes.has(header.number)) break;
      if (isTurnDue()) yield TURN;
      const size = sizeOf(this.#io, path);
      this.#sizes.set(header.number, size);
      this.#total += size;
    }
  }

  /** @param position - in the segment that is read */
  progress(position: number, nextLsn: Lsn): WalProgress {
    const size = this.#number === undefined ? 0 : (this.#sizes.get(this.#number) ?? 0);
    this.#bytes = Math.max(this.#bytes, this.#passed + Math.min(position, size));
    const records = this.#from === undefined ? 0 : Math.max(0, nextLsn - this.#from);
    return { phase: 'read', bytes: this.#bytes, totalBytes: Math.max(this.#total, this.#bytes), records };
  }
}
