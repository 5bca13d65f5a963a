import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { watched } from '@walstack/storage-io/internal';
import type { OnHole } from '../frames/holes.js';
import type { WalRecord } from '../records/wal-record.js';
import { CallWatch, READING_ABORTED } from '../walk/call-watch.js';
import type { PieceReader } from '../walk/piece-reader.js';
import { SegmentWalk } from '../walk/segment-walk.js';
import type { ReplayProgress } from './replay-progress.js';
import { ReplayedSegments, type ReplayPlan } from './replayed-segments.js';

/** What is read of a directory, and how. */
export interface DirectoryPlan extends ReplayPlan {
  readonly types: ReadonlySet<number> | undefined;
  readonly copy: boolean;
  readonly onHole: OnHole;
}

/** Reads the records of a log's directory in order, segment by segment, beside a writer or without any. */
export class DirectoryReader implements PieceReader<WalRecord> {
  readonly io: StorageIo;
  /** The frames that `advance()` found, for a cursor. */
  readonly walk: SegmentWalk;
  readonly watch: CallWatch<ReplayProgress> | undefined;
  readonly #segments: ReplayedSegments;
  readonly #onClose: () => void;

  /** @param onClose - called when the reader is closed */
  constructor(io: StorageIo, plan: DirectoryPlan, onClose: () => void) {
    const { from, copy, types, onHole } = plan;
    const matches = types === undefined ? undefined : ({ type }: { readonly type: number }) => types.has(type);
    this.io = io;
    this.walk = new SegmentWalk(typeof from === 'string' ? 1 : from, copy, matches, onHole);
    this.watch = CallWatch.for(plan.call, READING_ABORTED, () => this.#segments.progress);
    this.#segments = new ReplayedSegments(io, plan, this.walk, this.watch);
    this.#onClose = onClose;
  }

  /** Whether it was found where the reading begins: then the walk has the first LSN. */
  get isPlaced(): boolean {
    return this.#segments.isPlaced;
  }

  /** The next record in memory; `undefined` when `advance()` has to read more. */
  next(): WalRecord | undefined {
    return this.walk.next();
  }

  /**
   * Reads more, from segment to segment.
   *
   * @returns whether there may be further records in memory
   * @throws the errors that `replayDirectory` documents
   */
  advance(): IoRoutine<boolean> {
    const advancing = this.walk.advance(this.#segments);
    return this.watch === undefined ? advancing : watched(advancing, this.watch);
  }

  /** Ends the reading and closes its file. */
  close(): void {
    this.walk.leave();
    this.#segments.close();
    this.#onClose();
  }
}
