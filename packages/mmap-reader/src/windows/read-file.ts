import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { crc32c, WalError } from '@walstack/codec';
import { type FileWindows, fits, type Window } from './file-windows.js';
import { hasSegmentId } from './segment-id.js';
import { WindowList } from './window-list.js';

const PIECE_BYTES = 256 * 1024;

/**
 * A file that is read into memory window by window because it cannot be mapped: without the addon, or while it is being
 * written.
 */
export class ReadFile implements FileWindows {
  readonly path: string;
  readonly size: number;
  #fd: number;
  readonly #windows: WindowList<Window>;

  /**
   * @param keeps - windows stay in memory until the file is closed, so that views of them stay valid
   * @throws what `node:fs` throws
   */
  constructor(path: string, keeps: boolean) {
    this.path = path;
    this.#fd = openSync(path, 'r');
    this.size = fstatSync(this.#fd).size;
    this.#windows = new WindowList(
      this.size,
      keeps,
      (base, length) => this.#make(base, length),
      () => {},
    );
  }

  get isClosed(): boolean {
    return this.#fd === -1;
  }

  hasId(segmentId: Uint8Array): boolean {
    return hasSegmentId(this.#fd, this.path, segmentId);
  }

  canHold(position: number, end: number): boolean {
    return fits(position, end);
  }

  /** Memory is allocated only for a valid frame: a length is not trusted before its checksum is verified. */
  mayLoadFrame(position: number, length: number, checksum: number, seed: number): boolean {
    const piece = new Uint8Array(Math.min(length, PIECE_BYTES));
    let crc = seed;
    for (let done = 0; done < length; ) {
      const bytes = this.#read(piece.subarray(0, Math.min(piece.length, length - done)), position + done);
      if (bytes === 0) return false;
      crc = crc32c(piece, crc, 0, bytes);
      done += bytes;
    }
    return crc === checksum;
  }

  window(position: number, needed: number): Window {
    return this.#windows.at(position, needed);
  }

  renew(window: Window): Window {
    return this.#windows.renew(window);
  }

  /** Nothing to do: the bytes are in memory. */
  load(): void {}

  check(): void {}

  leave(): void {}

  close(): void {
    if (this.#fd === -1) return;
    closeSync(this.#fd);
    this.#fd = -1;
    for (const { bytes } of this.#windows.takeAll()) {
      const { buffer } = bytes;
      // Detaches the buffer, so that views become empty, as those of a mapping do.
      structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    }
  }

  #make(base: number, length: number): Window {
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const read = this.#read(bytes.subarray(filled), base + filled);
      // The file was truncated meanwhile: the rest stays zeros.
      if (read === 0) break;
      filled += read;
    }
    return { base, length, bytes };
  }

  #read(into: Uint8Array, position: number): number {
    try {
      return readSync(this.#fd, into, 0, into.length, position);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const facts = { path: this.path, offset: position, operation: 'read' };
      throw new WalError(
        'WAL_IO_FAILED',
        `${this.path} cannot be read: ${message}; read it once more, or restore it`,
        code === undefined ? facts : { ...facts, systemCode: code },
        { cause: error },
      );
    }
  }
}
