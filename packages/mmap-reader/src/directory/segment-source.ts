import { type Lsn, type PayloadDecoder, type SegmentHeader, WalError } from '@walstack/codec';
import { recycled } from '../chain/chain-errors.js';
import type { Frames } from '../frames/frames.js';
import { inHole, type OnHole } from '../frames/holes.js';
import { WindowScanner } from '../frames/window-scanner.js';
import type { CursorSource, StopReason } from '../records/record-cursor.js';
import type { FileWindows } from '../windows/file-windows.js';

const ZEROS = Buffer.alloc(65_536);

/** All readable records of one segment file. */
export class SegmentSource implements CursorSource {
  readonly until: Lsn = Number.MAX_SAFE_INTEGER;
  readonly decoder: PayloadDecoder;
  readonly #file: FileWindows;
  readonly #isUnguarded: boolean;
  readonly #scanner: WindowScanner;
  readonly #onHole: OnHole;
  readonly #onClose: () => void;

  /**
   * @param isUnguarded - the file may be reused for another segment while it is read
   * @param onHole - what happens where records are lost
   * @param onClose - called when the source is closed
   */
  constructor(
    file: FileWindows,
    decoder: PayloadDecoder,
    header: SegmentHeader,
    isUnguarded: boolean,
    onHole: OnHole,
    onClose: () => void,
  ) {
    this.decoder = decoder;
    this.#file = file;
    this.#isUnguarded = isUnguarded;
    this.#onHole = onHole;
    this.#onClose = onClose;
    this.#scanner = new WindowScanner(file, header, header.blockBytes, header.firstLsn, file.size);
  }

  /** Position in the file after the current frame. */
  get end(): number {
    return this.#scanner.frames.end;
  }

  advance(): Frames | undefined {
    return this.#scanner.fillSync() ? this.#scanner.frames : undefined;
  }

  restore(): boolean {
    return this.#scanner.restore();
  }

  stopReason(error: WalError | undefined): StopReason {
    if (error !== undefined) return reasonOf(error);
    if (this.#file.isClosed) return 'closed';
    const { frames } = this.#scanner;
    if (!frames.stopped && this.#isZeroFrom(frames.end)) return 'end';
    if (this.#isUnguarded && !this.#file.hasId(frames.header.segmentId)) throw recycled(frames.path, frames.nextLsn);
    return frames.stopped ? 'wrong-lsn' : 'bad-frame';
  }

  passMark({ path, position, hole }: Frames): void {
    if (hole !== undefined && this.#onHole === 'throw') throw inHole(path, position, hole);
  }

  /** Releases the memory; the opener of the file closes it. */
  close(): void {
    this.#scanner.frames.close();
    this.#onClose();
  }

  #isZeroFrom(position: number): boolean {
    for (let at = position; at < this.#file.size; ) {
      const window = this.#file.window(at, 1);
      const offset = at - window.base;
      this.#file.load(window, offset, window.length - offset);
      const zero = isZero(window.bytes, offset);
      this.#file.check(window, window.length);
      if (!zero) return false;
      at = window.base + window.length;
    }
    return true;
  }
}

function isZero(bytes: Uint8Array, from: number): boolean {
  for (let at = from; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (ZEROS.compare(part, 0, part.length, 0, part.length) !== 0) return false;
  }
  return true;
}

/** The stop reason for the error of a step to an invalid frame. */
function reasonOf(error: WalError): StopReason {
  const { reason, code, message } = error;
  if (reason === 'cut-while-mapped') throw error;
  if (reason === 'impossible-fields' || reason === 'unknown-flags' || reason === 'unknown-codec') return reason;
  throw new WalError('WAL_STATE', `unexpected ${code}: ${message}`);
}
