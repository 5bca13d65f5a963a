import type { Lsn } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { FrameSummary } from '../frames/frame-summary.js';
import type { StreamedScanner } from '../frames/open-scanner.js';
import { scanTail } from '../frames/scan-tail.js';

/** How often nothing new is found at one place before what stands behind it is looked at for the first time. */
const PATIENCE = 16;

/**
 * The end of the segment that is being written, as others see it. One scanner, the probe, goes ahead and finds out how
 * far the records can be given out: to the end of the last whole batch. The other one reads what is given out.
 */
export class ActiveTail {
  readonly #io: StorageIo;
  readonly #reader: StreamedScanner;
  readonly #probe: StreamedScanner;
  readonly #summary: FrameSummary;
  /** How often in a row nothing new was found. */
  #fruitless = 0;

  /** @param provenLsn - what is known to survive a crash without any frame of this segment */
  constructor(io: StorageIo, reader: StreamedScanner, probe: StreamedScanner, provenLsn: Lsn) {
    this.#io = io;
    this.#reader = reader;
    this.#probe = probe;
    this.#summary = new FrameSummary(provenLsn);
  }

  /** The last record of the last whole batch. */
  get visibleLsn(): Lsn {
    return (this.#summary.openBatch?.nextLsn ?? this.#probe.frames.nextLsn) - 1;
  }

  /** The last record that is proven to survive a crash. */
  get provenLsn(): Lsn {
    return this.#summary.provenLsn;
  }

  /** Where what can be read ends. */
  get end(): number {
    return this.#probe.frames.end;
  }

  /** The first LSN that cannot be read. */
  get nextLsn(): Lsn {
    return this.#probe.frames.nextLsn;
  }

  /** Reads on. @returns whether anything was there */
  *lookAgain(): IoRoutine<boolean> {
    const { end } = this;
    this.#probe.resume();
    while (yield* this.#probe.fill()) this.#probe.frames.skip(this.#summary);
    const grown = this.end > end;
    this.#fruitless = grown ? 0 : this.#fruitless + 1;
    return grown;
  }

  /**
   * Whether it is time to look for {@link evidence}: seldom, and ever more so, as all of an earlier life may stand behind
   * the end of a segment that is used again.
   */
  get isEvidenceDue(): boolean {
    return this.#fruitless >= PATIENCE && isPowerOfTwo(this.#fruitless);
  }

  /** Lets the reader read on, up to where the probe has come. */
  resume(): void {
    this.#reader.resume(this.end);
  }

  /**
   * Looks for what proves that the first LSN that cannot be read had been durable, or the batch that it belongs to.
   *
   * @returns a proof, when it cannot be read even after that was seen; `undefined` when it is just not there yet
   */
  *evidence(): IoRoutine<string | undefined> {
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

  /** Whether the file has got a new life. */
  *isRecycled(): IoRoutine<boolean> {
    return yield* this.#probe.isRecycled();
  }

  close(): void {
    this.#reader.close();
    this.#probe.close();
  }
}

const isPowerOfTwo = (count: number): boolean => (count & (count - 1)) === 0;
