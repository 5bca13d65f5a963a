import { type Lsn, WalError } from '@walstack/codec';
import type { StorageIo } from '@walstack/storage-io';
import type { Link } from '../chain/chain.js';

/** The progress of a replay. */
export interface ReplayProgress {
  /** The last LSN that was read. */
  readonly lsn: Lsn;
  /** Segment files that were read completely, and all that there are. */
  readonly segments: number;
  readonly totalSegments: number;
  /** Bytes of the files that were read, and all that there are. */
  readonly bytes: number;
  readonly totalBytes: number;
}

/** Reports the progress of a replay. */
export class ProgressReporter {
  readonly #onProgress: (progress: ReplayProgress) => void;
  /** The size of each file. */
  readonly #sizes: readonly number[];
  readonly #totalBytes: number;
  /** Files that were read completely, and their bytes. */
  #segments = 0;
  #bytes = 0;

  constructor(io: StorageIo, links: readonly Link[], onProgress: (progress: ReplayProgress) => void) {
    this.#onProgress = onProgress;
    this.#sizes = links.map(({ path }) => sizeOf(io, path));
    this.#totalBytes = this.#sizes.reduce((sum, size) => sum + size, 0);
  }

  /** The current file was read up to a position. */
  pieceRead(lsn: Lsn, position: number): void {
    this.#report(lsn, this.#bytes + position);
  }

  /** The current file was read completely. */
  segmentRead(lsn: Lsn): void {
    this.#bytes += this.#sizes[this.#segments++] ?? 0;
    this.#report(lsn, this.#bytes);
  }

  #report(lsn: Lsn, bytes: number): void {
    const totalBytes = this.#totalBytes;
    this.#onProgress({
      lsn,
      segments: this.#segments,
      totalSegments: this.#sizes.length,
      bytes: Math.min(bytes, totalBytes),
      totalBytes,
    });
  }
}

function sizeOf(io: StorageIo, path: string): number {
  try {
    return io.stat(path).size;
  } catch (error) {
    // It was removed meanwhile: reading it will report that.
    if (WalError.is(error, 'WAL_NOT_FOUND')) return 0;
    throw error;
  }
}
