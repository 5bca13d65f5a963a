import { closeSync, fstatSync, openSync, statSync } from 'node:fs';
import { WalError } from '@walstack/codec';
import {
  fileLocksUnavailableReason,
  lockFile,
  type Mapping,
  mapFile,
  mappingUnavailableReason,
} from '@walstack/native';
import { corruption } from '../chain/chain-errors.js';
import { type FileWindows, fits, type MemoryGuard, WINDOW_BYTES, type Window } from './file-windows.js';
import { hasSegmentId } from './segment-id.js';
import { WindowList } from './window-list.js';

/** Whether files can be mapped here, and locked against reuse by a writer meanwhile. */
const canMap = mappingUnavailableReason === undefined && fileLocksUnavailableReason === undefined;

interface MappedWindow extends Window {
  readonly mapping: Mapping;
}

/**
 * A file that is no longer written to, mapped window by window for reading, under a shared lock: no writer, in any
 * thread or process, reuses it meanwhile.
 */
export class MappedFile implements FileWindows {
  readonly path: string;
  readonly size: number;
  readonly #keeps: boolean;
  #fd: number;
  readonly #windows: WindowList<MappedWindow>;

  private constructor(path: string, fd: number, size: number, keeps: boolean) {
    this.path = path;
    this.size = size;
    this.#fd = fd;
    this.#keeps = keeps;
    this.#windows = new WindowList(
      size,
      keeps,
      (base, length) => this.#map(base, length),
      (windows) => this.#unmap(windows),
    );
  }

  /**
   * Opens a file and takes a shared lock on it.
   *
   * @param keeps - windows stay mapped until the file is closed, so that views of them stay valid
   * @returns `undefined` when a writer is reusing the file, or has done so, or when files cannot be mapped
   * @throws what `node:fs` throws
   */
  static open(path: string, keeps: boolean): MappedFile | undefined {
    if (!canMap) return undefined;
    const fd = openSync(path, 'r');
    try {
      // The name is checked after locking: before that, another file may have got it.
      if (lockFile(fd, 'shared') && isStillAt(path, fd)) return new MappedFile(path, fd, fstatSync(fd).size, keeps);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    closeSync(fd);
    return undefined;
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

  /** Always: mapping allocates no memory. */
  mayLoadFrame(): boolean {
    return true;
  }

  window(position: number, needed: number): Window {
    return this.#windows.at(position, needed);
  }

  renew(window: Window): Window {
    return this.#windows.renew(window);
  }

  load(window: Window, offset: number, length: number): void {
    translateErrors(this.path, () => this.#mappingOf(window)?.load(offset, length));
  }

  check(window: Window, length: number): void {
    translateErrors(this.path, () => this.#mappingOf(window)?.checkNotCut(0, Math.min(length, window.length)));
  }

  leave(window: Window): void {
    if (this.#keeps) this.#mappingOf(window)?.advise('dontneed');
  }

  /** Drops the file's pages from this process's memory and from the page cache. */
  release(): void {
    for (const { mapping } of this.#windows) mapping.release();
    // Mapped pages stay in the page cache, and not everything was mapped: so the whole file is visited again.
    this.#eachWindow((mapping) => mapping.release());
  }

  /** Bytes of the file that are in the page cache. */
  residentBytes(): number {
    let bytes = 0;
    this.#eachWindow((mapping) => {
      bytes += mapping.residentBytes();
    });
    return bytes;
  }

  close(): void {
    if (this.#fd === -1) return;
    this.#unmap(this.#windows.takeAll());
    // Memory that was moved into another buffer is unmapped when that is collected, and keeps the lock until then.
    closeSync(this.#fd);
    this.#fd = -1;
  }

  #mappingOf(window: Window): Mapping | undefined {
    return this.#windows.find(window)?.mapping;
  }

  #eachWindow(visit: (mapping: Mapping) => void): void {
    for (let base = 0; base < this.size; base += WINDOW_BYTES) {
      const { mapping } = this.#map(base, Math.min(WINDOW_BYTES, this.size - base));
      translateErrors(this.path, () => visit(mapping));
      mapping.unmap();
    }
  }

  #map(base: number, length: number): MappedWindow {
    return translateErrors(this.path, () => {
      const mapping = mapFile(this.#fd, { offset: base, length });
      mapping.advise('sequential');
      const guard = new MappingGuard(this.path, mapping);
      return { base, length, mapping, guard, bytes: new Uint8Array(mapping.buffer) };
    });
  }

  #unmap(windows: readonly MappedWindow[]): void {
    for (const { mapping } of windows) mapping.unmap();
  }
}

class MappingGuard implements MemoryGuard {
  readonly #path: string;
  readonly #mapping: Mapping;

  constructor(path: string, mapping: Mapping) {
    this.#path = path;
    this.#mapping = mapping;
  }

  check(): void {
    if (!this.#mapping.isBroken) return;
    const what = 'it was cut while it was read, or its disk could not read it: zeros were read there';
    throw corruption(this.#path, 'cut-while-mapped', what);
  }
}

/** Opens a file for mapping; `undefined` where that fails: then plain reads are used, which also report what is wrong. */
export function tryToMap(path: string, keeps: boolean): MappedFile | undefined {
  try {
    return MappedFile.open(path, keeps);
  } catch {
    return undefined;
  }
}

/** Whether the open file is still the one at `path`. */
function isStillAt(path: string, fd: number): boolean {
  const here = fstatSync(fd);
  const there = statSync(path, { throwIfNoEntry: false });
  return there !== undefined && there.ino === here.ino && there.dev === here.dev;
}

/** Translates errors of a mapping into those of a log. */
function translateErrors<T>(path: string, call: () => T): T {
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
