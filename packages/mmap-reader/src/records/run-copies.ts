import { markAsUntransferable } from 'node:worker_threads';
import { FRAME_HEADER_BYTES, RECORD_HEADER_BYTES } from '@walstack/codec';
import type { Frames } from '../frames/frames.js';
import { plainRecord } from './decode-record.js';
import { SHARED_BYTES, SMALL_BYTES_MAX } from './small-copies.js';
import type { WalRecord } from './wal-record.js';

const BODY = FRAME_HEADER_BYTES + RECORD_HEADER_BYTES;
const NO_BYTES = new Uint8Array(0);

/**
 * Copies the plain records of a run with the frames around them, as many at once as share one buffer: that costs half of
 * copying meta and payload of each.
 */
export class RunCopies {
  #run = -1;
  /** Offset in the memory of the frames of the first byte copied. */
  #from = 0;
  #buffer = new ArrayBuffer(0);
  #view = new DataView(this.#buffer);

  /** The current record, which is plain. */
  record(frames: Frames): WalRecord {
    let at = this.#place(frames);
    if (at === -1) {
      if (frames.storedLength > SMALL_BYTES_MAX) return plainRecord(frames, true);
      this.#copy(frames);
      at = 0;
    }
    const view = this.#view;
    const metaLength = view.getUint16(at + 24, true);
    const meta = at + BODY;
    const payload = meta + metaLength;
    const end = at + FRAME_HEADER_BYTES + view.getUint32(at, true);
    return {
      lsn: frames.lsn,
      type: view.getUint32(at + 16, true),
      meta: metaLength === 0 ? NO_BYTES : new Uint8Array(this.#buffer, meta, metaLength),
      payload: payload === end ? NO_BYTES : new Uint8Array(this.#buffer, payload, end - payload),
      scope: undefined,
      timestampMs: frames.header.createdAtMs + view.getUint32(at + 28, true),
    };
  }

  /** Offset of the current frame in the copy; -1 when it is not completely there, or too long to share a buffer. */
  #place({ run, at }: Frames): number {
    const view = this.#view;
    const offset = at - this.#from;
    if (run !== this.#run || offset + BODY > view.byteLength) return -1;
    const length = view.getUint32(offset, true);
    if (offset + FRAME_HEADER_BYTES + length > view.byteLength) return -1;
    return length - RECORD_HEADER_BYTES > SMALL_BYTES_MAX ? -1 : offset;
  }

  /** Copies from the current frame on. */
  #copy(frames: Frames): void {
    const { buffer, byteLength } = frames.copyOfRun(SHARED_BYTES);
    // Transferring one copy to another thread must not detach the others.
    markAsUntransferable(buffer);
    this.#run = frames.run;
    this.#from = frames.at;
    this.#buffer = buffer;
    this.#view = new DataView(buffer, 0, byteLength);
  }
}
