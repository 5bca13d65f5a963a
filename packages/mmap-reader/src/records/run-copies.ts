import { markAsUntransferable } from 'node:worker_threads';
import { BODY } from '../frames/frame-fields.js';
import type { Frames } from '../frames/frames.js';
import { plainRecordAt } from '../frames/plain-record.js';
import { SHARED_BYTES, SMALL_BYTES_MAX } from './small-copies.js';
import type { WalRecord } from './wal-record.js';

/** Fewer records are copied one by one, which costs less than a buffer for them. */
const FRAMES_MIN = 4;

/**
 * Copies the plain records of a run with the frames around them, as many at once as share one buffer: that costs half of
 * copying meta and payload of each.
 */
export class RunCopies {
  #run = -1;
  /** Offset in the memory of the frames of the first byte copied. */
  #from = 0;
  /** Whole frames, one behind the other. */
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);

  /** The current record, which is plain; `undefined` where it is better copied alone. */
  record(frames: Frames): WalRecord | undefined {
    let at = this.#place(frames);
    if (at === -1) {
      if (!this.#copy(frames)) return undefined;
      at = 0;
    }
    const view = this.#view;
    return plainRecordAt(view, view.buffer, 0, at, frames.lsn, frames.header.createdAtMs);
  }

  /** Offset of the current frame in the copy; -1 when it is not there, or the copy was taken away by the application. */
  #place({ run, at }: Frames): number {
    const offset = at - this.#from;
    return run === this.#run && offset < this.#bytes.length ? offset : -1;
  }

  /** Copies from the current frame on. @returns whether there is enough to copy */
  #copy(frames: Frames): boolean {
    const bytes = frames.copyOfRun(SHARED_BYTES, BODY + SMALL_BYTES_MAX, FRAMES_MIN);
    if (bytes === undefined) return false;
    const { buffer } = bytes;
    // Transferring one copy to another thread must not detach the others.
    markAsUntransferable(buffer);
    this.#run = frames.run;
    this.#from = frames.at;
    this.#bytes = bytes;
    this.#view = new DataView(buffer);
    return true;
  }
}
