import { type Lsn, WalError } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { isTurnDue, TURN } from '@walstack/storage-io/internal';
import type { Link } from '../chain/chain.js';
import type { WalProgress } from '../walk/call-watch.js';
import { ReadProgress } from '../walk/read-progress.js';

/** The progress of a replay. */
export interface ReplayProgress extends WalProgress {
  /** The last LSN that was read. */
  readonly lsn: Lsn;
  /** Segment files that were read completely, and all that there are. */
  readonly segments: number;
  readonly totalSegments: number;
}

/** Counts what was read of the segments of a replay. */
export class ReplayCount {
  readonly #read = new ReadProgress('read');
  #lsn: Lsn = 0;
  #segments = 0;
  #totalSegments = 0;

  /**
   * The segments are known.
   *
   * @param from - the first LSN wanted
   */
  *begin(io: StorageIo, links: readonly Link[], from: Lsn): IoRoutine<void> {
    this.#read.begin('read', yield* sizesOf(io, links), from);
    this.#totalSegments = links.length;
  }

  /** The current file was read up to a position. */
  pieceRead(lsn: Lsn, position: number): void {
    this.#lsn = lsn;
    this.#read.at(position, lsn + 1);
  }

  /** The current file was read completely. */
  segmentRead(lsn: Lsn): void {
    this.pieceRead(lsn, 0);
    this.#read.pass();
    this.#segments++;
  }

  get value(): ReplayProgress {
    const [lsn, segments, totalSegments] = [this.#lsn, this.#segments, this.#totalSegments];
    return { ...this.#read.value, lsn, segments, totalSegments };
  }
}

/** The size of each file of a chain. */
export function* sizesOf(io: StorageIo, links: readonly { readonly path: string }[]): IoRoutine<readonly number[]> {
  const sizes: number[] = [];
  for (const { path } of links) {
    if (isTurnDue()) yield TURN;
    sizes.push(sizeOf(io, path));
  }
  return sizes;
}

/** The size of a file; 0 when it is not there. */
export function sizeOf(io: StorageIo, path: string): number {
  try {
    return io.stat(path).size;
  } catch (error) {
    // It was removed meanwhile: reading it will report that.
    if (WalError.is(error, 'WAL_NOT_FOUND')) return 0;
    throw error;
  }
}
