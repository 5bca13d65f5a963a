import { isMark, type Lsn, RecordFlag, type RecordHeader } from '@walstack/codec';

/** What is to be known of frames that were stepped over: what they prove, and how they end. */
export class FrameSummary {
  /** The highest LSN that some frame proves durable. */
  provenLsn: Lsn;
  /** Type of the last frame when it was a mark, one of `MarkType`; else `undefined`. */
  markType: number | undefined;
  /** Where the batch began that the last record continues. */
  openBatch: { readonly end: number; readonly nextLsn: Lsn } | undefined;

  /** @param provenLsn - what is known without any frame */
  constructor(provenLsn: Lsn) {
    this.provenLsn = provenLsn;
  }

  /** Takes note of one frame, but for what it proves; `end` is where the frames before it end. */
  frame(record: RecordHeader, end: number): void {
    if (isMark(record)) {
      this.markType = record.type;
      return;
    }
    this.markType = undefined;
    if ((record.flags & RecordFlag.batchContinues) === 0) this.openBatch = undefined;
    else this.openBatch ??= { end, nextLsn: record.lsn };
  }

  /** Takes note of records of no batch, or the last of one. */
  plainRecords(): void {
    this.markType = undefined;
    this.openBatch = undefined;
  }
}
