import { isHole, isMark, type Lsn, RecordFlag, type RecordHeader } from '@walstack/codec';
import { Sessions } from '../chain/sessions.js';
import { type Hole, holeOf, nextLsnBehind } from './holes.js';

/** What frames that were skipped prove, and how they end. */
export class FrameSummary {
  /** The highest LSN that some frame proves durable. */
  provenLsn: Lsn;
  /** Type of the last frame when it was a mark, one of `MarkType`; else `undefined`. */
  markType: number | undefined;
  /** Where the unfinished batch of the last record began. */
  openBatch: { readonly end: number; readonly nextLsn: Lsn } | undefined;
  /** Which opening has written which records. */
  readonly sessions = new Sessions();
  /** The records that are lost, in order. */
  readonly holes: Hole[] = [];

  /** @param provenLsn - what is known to be durable without any frame */
  constructor(provenLsn: Lsn) {
    this.provenLsn = provenLsn;
  }

  /** Adds one frame, except for what it proves; `end` is where the frames before it end. */
  frame(record: RecordHeader, end: number): void {
    if (isMark(record)) {
      this.markType = record.type;
      this.sessions.note(record);
      return;
    }
    this.markType = undefined;
    if (isHole(record)) this.#hole(record);
    else if ((record.flags & RecordFlag.batchContinues) === 0) this.openBatch = undefined;
    else this.openBatch ??= { end, nextLsn: record.lsn };
  }

  /** What is before a hole is durable, and a batch is in front of it or behind it. */
  #hole(record: RecordHeader): void {
    this.openBatch = undefined;
    this.provenLsn = Math.max(this.provenLsn, nextLsnBehind(record) - 1);
    const hole = holeOf(record);
    if (hole !== undefined) this.holes.push(hole);
  }

  /** Adds records outside of batches, or the last one of a batch. */
  plainRecords(): void {
    this.markType = undefined;
    this.openBatch = undefined;
  }
}
