import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, WalError } from '@walstack/codec';
import {
  fileLocksUnavailableReason,
  lockFile,
  type Mapping,
  mapFile,
  mappingUnavailableReason,
} from '@walstack/native';
import { corruption } from './corruption.js';
import { sameId } from './segment.js';

/** Whether files can be mapped here, and held against a writer meanwhile. */
const canMap = mappingUnavailableReason === undefined && fileLocksUnavailableReason === undefined;

/**
 * Bytes that are mapped at a time: V8 counts them as memory of its own, and begins to collect garbage for every 64 MiB
 * that come to it.
 */
const WINDOW_BYTES = 16 * 1024 * 1024;

/** Mappings begin at multiples of this, which is a multiple of every size of a page. */
const GRAIN_BYTES = 65_536;

/** The longest window: offsets in it are unsigned 32-bit integers. */
const MOST_BYTES = 0xffff_0000;

/** A stretch of a file in memory. */
export interface Window {
  /** Position in the file of its first byte. */
  readonly base: number;
  readonly mapping: Mapping;
  readonly bytes: Uint8Array;
}

/**
 * A file that is not written to any more, mapped window by window for reading, under a shared lock: no writer, in
 * whatever thread or process, gives it a new life meanwhile.
 */
export class MappedFile {
  readonly path: string;
  /** Bytes of the file when it was opened. */
  readonly size: number;
  readonly #keeps: boolean;
  #fd: number;
  readonly #windows: Window[] = [];

  private constructor(path: string, fd: number, size: number, keeps: boolean) {
    this.path = path;
    this.size = size;
    this.#fd = fd;
    this.#keeps = keeps;
  }

  /**
   * Opens a file and takes a shared lock on it.
   *
   * @param keeps - windows stay mapped until the file is closed, so that views of them stay good
   * @returns `undefined` when a writer is taking the file for a new life, or has done so, or when files cannot be mapped
   * @throws what `node:fs` throws
   */
  static open(path: string, keeps: boolean): MappedFile | undefined {
    if (!canMap) return undefined;
    const fd = openSync(path, 'r');
    try {
      // Having locked, it is looked up again: the name may have gone to another file before.
      if (lockFile(fd, 'shared') && isStillAt(path, fd)) return new MappedFile(path, fd, fstatSync(fd).size, keeps);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    closeSync(fd);
    return undefined;
  }

  /** The windows that are mapped now. */
  get windows(): readonly Window[] {
    return this.#windows;
  }

  get isClosed(): boolean {
    return this.#fd === -1;
  }

  /** Whether it is a segment with this id. */
  hasId(segmentId: Uint8Array): boolean {
    const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
    const length = readSync(this.#fd, bytes, 0, bytes.length, 0);
    try {
      return sameId(decodeSegmentHeader(bytes.subarray(0, length), this.path).segmentId, segmentId);
    } catch (error) {
      if (WalError.is(error, 'WAL_BAD_HEADER')) return false;
      throw error;
    }
  }

  /** Whether a stretch fits into a window. */
  canMap(position: number, end: number): boolean {
    return roundUp(end) - roundDown(position) <= MOST_BYTES;
  }

  /**
   * Maps a stretch that begins at or before `position` and has at least `needed` bytes from there on, as far as the file
   * goes. The window before is let go of, unless windows are kept.
   */
  map(position: number, needed: number): Window {
    const base = roundDown(position);
    const end = Math.min(this.size, Math.max(base + WINDOW_BYTES, roundUp(position + needed)));
    if (!this.#keeps) this.#unmapAll();
    const window = this.#map(base, end - base);
    window.mapping.advise('sequential');
    this.#windows.push(window);
    return window;
  }

  /** Maps the same window once more, as somebody has moved its memory away. */
  mapAgain(window: Window): Window {
    const again = this.#map(window.base, window.mapping.length);
    this.#windows[this.#windows.indexOf(window)] = again;
    return again;
  }

  /** Makes sure that a range of a window can be read: the file still reaches to its end, and the disk gives it. */
  load(window: Window, offset: number, length: number): void {
    guarded(this.path, () => window.mapping.load(offset, length));
  }

  /** Empties every view of the file and gives up its lock. Idempotent. */
  close(): void {
    if (this.#fd === -1) return;
    this.#unmapAll();
    closeSync(this.#fd);
    this.#fd = -1;
  }

  #map(base: number, length: number): Window {
    const mapping = guarded(this.path, () => mapFile(this.#fd, { offset: base, length }));
    return { base, mapping, bytes: new Uint8Array(mapping.buffer) };
  }

  #unmapAll(): void {
    for (const { mapping } of this.#windows.splice(0)) mapping.unmap();
  }
}

function roundDown(position: number): number {
  return position - (position % GRAIN_BYTES);
}

function roundUp(position: number): number {
  return Math.ceil(position / GRAIN_BYTES) * GRAIN_BYTES;
}

/** Whether `path` is still the name of an open file. */
function isStillAt(path: string, fd: number): boolean {
  const here = fstatSync(fd);
  const there = statSync(path, { throwIfNoEntry: false });
  return there !== undefined && there.ino === here.ino && there.dev === here.dev;
}

/** Says in our words what the system says of a mapping. */
function guarded<T>(path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_WALSTACK_FILE_CUT' || code === 'ERR_OUT_OF_RANGE') {
      throw corruption(path, 'cut-while-mapped', `it was cut while it was read: ${message}`);
    }
    throw new WalError(
      'WAL_IO_FAILED',
      `${path} cannot be read through a mapping: ${message}; read it once more, or restore it`,
      { path, operation: 'map', ...(code === undefined ? {} : { systemCode: code }) },
      { cause: error },
    );
  }
}
