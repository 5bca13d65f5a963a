import { META_BYTES_MAX, recordFrameBytes } from '@walstack/codec';
import type { CallQueues } from '../call-queues.js';
import { backpressure, cutInProgress, tooLarge } from '../log-errors.js';
import type { Settings } from '../options.js';
import type { Cuts } from '../retention/cuts.js';
import type { FullDisk } from '../write/full-disk.js';
import type { SegmentWriter } from '../write/segment-writer.js';
import type { RecordBody } from './record-body.js';

/** The largest batch, in bytes: it is encoded and written in one piece. */
const BATCH_BYTES_MAX = 1024 * 1024 * 1024;

/** Refuses what cannot be appended now: too large, too much pending, no room on the disk, a cut in progress. */
export class AppendGate {
  readonly #directory: string;
  readonly #maxPayloadBytes: number;
  readonly #maxPendingBytes: number;
  readonly #writer: SegmentWriter;
  readonly #calls: CallQueues;
  readonly #cuts: Cuts;
  readonly #fullDisk: FullDisk;

  constructor(settings: Settings, writer: SegmentWriter, calls: CallQueues, cuts: Cuts, fullDisk: FullDisk) {
    this.#directory = settings.directory;
    this.#maxPayloadBytes = settings.maxPayloadBytes;
    this.#maxPendingBytes = settings.maxPendingBytes;
    this.#writer = writer;
    this.#calls = calls;
    this.#cuts = cuts;
    this.#fullDisk = fullDisk;
  }

  /** @throws when the log accepts no records now */
  throwUnlessWritable(): void {
    this.#calls.throwUnlessOwned();
    if (this.#cuts.isInProgress) throw cutInProgress(this.#directory);
  }

  /** @throws when a record of this size cannot be appended now */
  checkSizes(payload: number, meta: number, scoped: boolean): void {
    this.#calls.throwIfFailed();
    const maxPayloadBytes = this.#maxPayloadBytes;
    if (payload > maxPayloadBytes) throw tooLarge('payload', payload, maxPayloadBytes);
    if (meta > META_BYTES_MAX) throw tooLarge('meta', meta, META_BYTES_MAX);
    this.#checkRoom(recordFrameBytes(payload, meta, scoped));
  }

  /** @throws when a batch cannot be appended now */
  checkBatch(records: readonly RecordBody[], sizeBytes: number): void {
    this.#calls.throwIfFailed();
    const maxPayloadBytes = this.#maxPayloadBytes;
    for (const { payload } of records) {
      if (payload.length > maxPayloadBytes) throw tooLarge('payload', payload.length, maxPayloadBytes);
    }
    if (sizeBytes > BATCH_BYTES_MAX) throw tooLarge('batch', sizeBytes, BATCH_BYTES_MAX);
    this.#checkRoom(sizeBytes);
  }

  /** @throws `WAL_NO_SPACE` while the disk is full, `WAL_BACKPRESSURE` when too many bytes would be pending */
  #checkRoom(bytes: number): void {
    const { noSpace } = this.#fullDisk;
    if (noSpace !== undefined && this.#fullDisk.refusesRecords) {
      this.#fullDisk.retry();
      throw noSpace;
    }
    const { pendingBytes } = this.#writer;
    const maxPendingBytes = this.#maxPendingBytes;
    if (pendingBytes > 0 && pendingBytes + bytes > maxPendingBytes) {
      throw backpressure(pendingBytes, bytes, maxPendingBytes);
    }
  }
}
