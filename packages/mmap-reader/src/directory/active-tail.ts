import type { Lsn } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { FrameSummary } from '../frames/frame-summary.js';
import type { StreamedScanner } from '../frames/open-scanner.js';
import { scanTail } from '../frames/scan-tail.js';

/** How often nothing new is found at one position before the bytes after it are scanned for the first time. */
const LOOKS_BEFORE_SCAN = 16;

/**
 * The end of the segment that is being written, as a reader sees it. One scanner, the probe, goes ahead and finds out
 * how far records can be returned: to the end of the last whole batch. The other scanner reads the records that are
 * returned.
 */
export class ActiveTail {
  readonly #io: StorageIo;
  readonly #reader: StreamedScanner;
  readonly #probe: StreamedScanner;
  readonly #summary: FrameSummary;
  /** How many times in a row nothing new was found. */
  #looksInVain = 0;

  /** @param provenLsn - the last LSN that is known to survive a crash without any frame of this segment */
  constructor(io: StorageIo, reader: StreamedScanner, probe: StreamedScanner, provenLsn: Lsn) {
    this.#io = io;
    this.#reader = reader;
    this.#probe = probe;
    this.#summary = new FrameSummary(provenLsn);
    // The writer may have prepared the rest of a segment: each look would read all of it.
    probe.endAtZeros();
  }

  /** The last record of the last whole batch. */
  get visibleLsn(): Lsn {
    return (this.#summary.openBatch?.nextLsn ?? this.#probe.frames.nextLsn) - 1;
  }

  /** The last record that is proven to survive a crash. */
  get provenLsn(): Lsn {
    return this.#summary.provenLsn;
  }

  /** The end of the readable part. */
  get end(): number {
    return this.#probe.frames.end;
  }

  /** The first LSN that cannot be read. */
  get nextLsn(): Lsn {
    return this.#probe.frames.nextLsn;
  }

  /** Reads further frames. @returns whether there were any */
  *lookAgain(): IoRoutine<boolean> {
    const { end } = this;
    this.#probe.resume();
    while (yield* this.#probe.fill()) this.#probe.frames.skip(this.#summary);
    const grown = this.end > end;
    this.#looksInVain = grown ? 0 : this.#looksInVain + 1;
    return grown;
  }

  /**
   * Whether it is time to call {@link findProof}: rarely, and at growing intervals, because in a reused file all frames
   * of its earlier segment may lie after the end.
   */
  get isScanDue(): boolean {
    return this.#looksInVain >= LOOKS_BEFORE_SCAN && isPowerOfTwo(this.#looksInVain);
  }

  /** Lets the reader continue, up to the end that the probe has reached. */
  resume(): void {
    this.#reader.resume(this.end);
  }

  /**
   * Looks for a proof that the first LSN that cannot be read had been durable, or the batch that it belongs to.
   *
   * @returns a proof, if the LSN still cannot be read after the proof was found; `undefined` when it is just not
   * written yet
   */
  *findProof(): IoRoutine<string | undefined> {
    const { file, frames } = this.#probe;
    const segment = { header: frames.header, path: file.path, end: this.end, nextLsn: this.nextLsn };
    const droppedFrom = this.visibleLsn + 1;
    const { proofOffset } = yield* scanTail(this.#io, file, segment, this.#io.size(file), droppedFrom);
    const proof =
      proofOffset === undefined
        ? `a frame proves that LSN ${this.provenLsn} of the same batch had been durable`
        : `the frame at offset ${proofOffset} proves that it had been durable`;
    if (proofOffset === undefined && this.#summary.provenLsn < droppedFrom) return undefined;
    return (yield* this.lookAgain()) ? undefined : proof;
  }

  /** Whether the file was reused for another segment. */
  *isRecycled(): IoRoutine<boolean> {
    return yield* this.#probe.isRecycled();
  }

  close(): void {
    this.#reader.close();
    this.#probe.close();
  }
}

const isPowerOfTwo = (count: number): boolean => (count & (count - 1)) === 0;
