import { markAsUntransferable } from 'node:worker_threads';
import { FRAME_HEADER_BYTES, RECORD_HEADER_BYTES } from '@walstack/codec';
import type { Frames } from '../frames/frames.js';
import { noBytes } from '../frames/no-bytes.js';
import { plainRecord } from './decode-record.js';
import { SHARED_BYTES, SMALL_BYTES_MAX } from './small-copies.js';
import type { WalRecord } from './wal-record.js';

const BODY = FRAME_HEADER_BYTES + RECORD_HEADER_BYTES;

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

  /** The current record, which is plain. */
  record(frames: Frames): WalRecord {
    let at = this.#place(frames);
    if (at === -1) {
      if (!this.#copy(frames)) return plainRecord(frames, true);
      at = 0;
    }
    const view = this.#view;
    const { buffer } = view;
    const metaLength = view.getUint16(at + 24, true);
    const meta = at + BODY;
    const payload = meta + metaLength;
    const end = at + FRAME_HEADER_BYTES + view.getUint32(at, true);
    return {
      lsn: frames.lsn,
      type: view.getUint32(at + 16, true),
      meta: metaLength === 0 ? noBytes() : new Uint8Array(buffer, meta, metaLength),
      payload: payload >= end ? noBytes() : new Uint8Array(buffer, payload, end - payload),
      scope: undefined,
      timestampMs: frames.header.createdAtMs + view.getUint32(at + 28, true),
    };
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
