import { blockEnd } from '@walstack/codec';
import type { Segment } from '@walstack/mmap-reader/internal';
import type { IoRoutine } from '@walstack/storage-io';
import type { BackupProgress, BackupReport } from './backup-options.js';

const bytesOf = ({ end, header }: Segment): number => blockEnd(end, header.blockBytes);

/** Counts what a backup has done, and reports it. */
export class BackupTally {
  readonly #directory: string;
  readonly #segments: readonly Segment[];
  readonly #report: ((progress: BackupProgress) => IoRoutine<void>) | undefined;
  readonly #totalBytes: number;
  #bytes = 0;
  #records = 0;
  #copiedSegments = 0;
  #copiedBytes = 0;
  #linkedSegments = 0;
  #keptSegments = 0;

  constructor(
    directory: string,
    segments: readonly Segment[],
    report: ((progress: BackupProgress) => IoRoutine<void>) | undefined,
  ) {
    this.#directory = directory;
    this.#segments = segments;
    this.#report = report;
    this.#totalBytes = segments.reduce((sum, segment) => sum + bytesOf(segment), 0);
  }

  *kept(segment: Segment): IoRoutine<void> {
    this.#keptSegments++;
    this.#bytes += bytesOf(segment);
    yield* this.#done(segment);
  }

  *linked(segment: Segment): IoRoutine<void> {
    this.#linkedSegments++;
    this.#bytes += bytesOf(segment);
    yield* this.#done(segment);
  }

  /** A part of a segment was copied. */
  *piece(bytes: number): IoRoutine<void> {
    this.#bytes += bytes;
    yield* this.report('copy');
  }

  /** All of a segment was copied. */
  *copied(segment: Segment): IoRoutine<void> {
    this.#copiedSegments++;
    this.#copiedBytes += bytesOf(segment);
    yield* this.#done(segment);
  }

  /** Reports how far the backup is. @throws what the callback throws */
  *report(phase: BackupProgress['phase']): IoRoutine<void> {
    if (this.#report === undefined) return;
    yield* this.#report({ phase, bytes: this.#bytes, totalBytes: this.#totalBytes, records: this.#records });
  }

  get result(): BackupReport {
    const [first] = this.#segments;
    const newest = this.#segments.at(-1);
    return Object.freeze({
      directory: this.#directory,
      firstLsn: (first as Segment).header.firstLsn,
      lastLsn: (newest as Segment).nextLsn - 1,
      segments: this.#segments.length,
      bytes: this.#totalBytes,
      copiedSegments: this.#copiedSegments,
      copiedBytes: this.#copiedBytes,
      linkedSegments: this.#linkedSegments,
      keptSegments: this.#keptSegments,
    });
  }

  *#done({ nextLsn, header }: Segment): IoRoutine<void> {
    this.#records += nextLsn - header.firstLsn;
    yield* this.report('copy');
  }
}
