import { type Lsn, type SegmentHeader, WalError } from '@walstack/codec';
import type { IoFile, IoRoutine, StorageIo } from '@walstack/storage-io';
import { closeFile } from '@walstack/storage-io/internal';
import type { Link } from '../chain/chain.js';
import { recycled } from '../chain/chain-errors.js';
import { headerOf } from '../chain/log-files.js';
import { sameId } from '../chain/segment.js';
import type { FileWindows } from '../windows/file-windows.js';
import { tryToMap } from '../windows/mapped-file.js';
import type { FrameScanner } from './frame-scanner.js';
import type { Frames } from './frames.js';
import { SegmentScanner } from './segment-scanner.js';
import { WindowScanner } from './window-scanner.js';

/** Which frames of a segment are read. */
export interface ScanRange {
  /** Position in the file of a frame or a block boundary. Default: where the frames begin. */
  readonly from?: number;
  /** The LSN that is expected there. Default: the segment's first. */
  readonly nextLsn?: Lsn;
  /** Bytes of the file that may be read. Default: all. */
  readonly limit?: number;
}

/**
 * Opens a sealed segment for reading: mapped where possible, otherwise by plain reads.
 *
 * @throws `WAL_NOT_FOUND`, `WAL_TRUNCATED` when the file was reused
 */
export function* openSealed(io: StorageIo, link: Link, range: ScanRange = {}): IoRoutine<FrameScanner> {
  return mapSealed(io, link, range) ?? (yield* openStreamed(io, link, range));
}

/**
 * Opens a segment for plain reads.
 *
 * @throws like {@link openSealed}
 */
export function* openStreamed(io: StorageIo, link: Link, range: ScanRange = {}): IoRoutine<StreamedScanner> {
  const file = io.open(link.path, { readOnly: true });
  try {
    const header = yield* headerOf(io, file);
    if (!sameId(header.segmentId, link.header.segmentId)) throw recycled(link.path, link.header.firstLsn);
    return new StreamedScanner(io, file, link.header, range);
  } catch (error) {
    closeFile(io, file);
    throw error;
  }
}

/** Maps a segment; `undefined` where plain reads have to be used. */
function mapSealed(io: StorageIo, link: Link, range: ScanRange): WindowScanner | undefined {
  if (!io.capabilities.realFiles) return undefined;
  const file = tryToMap(link.path, false);
  if (file === undefined) return undefined;
  try {
    if (file.hasId(link.header.segmentId)) return scannerOf(file, link.header, range);
  } catch (error) {
    // No memory for mappings, or a runtime without them: reading may still work.
    if (!WalError.is(error, 'WAL_IO_FAILED')) throw error;
  }
  file.close();
  return undefined;
}

/** A scanner that reads a segment in windows of its file, and closes the file. */
export function scannerOf(file: FileWindows, header: SegmentHeader, range: ScanRange = {}): WindowScanner {
  const { from, nextLsn, limit } = withDefaults(header, range, file.size);
  return new WindowScanner(file, header, from, nextLsn, limit);
}

function withDefaults(header: SegmentHeader, range: ScanRange, size: number): Required<ScanRange> {
  const { from = header.blockBytes, nextLsn = header.firstLsn, limit = size } = range;
  return { from, nextLsn, limit: Math.min(limit, size) };
}

/** A scanner that reads a segment by plain reads, and owns its file. */
export class StreamedScanner implements FrameScanner {
  readonly #io: StorageIo;
  readonly #scanner: SegmentScanner;
  readonly #file: IoFile;
  #isOpen = true;

  constructor(io: StorageIo, file: IoFile, header: SegmentHeader, range: ScanRange) {
    const { from, nextLsn, limit } = withDefaults(header, range, io.size(file));
    this.#io = io;
    this.#file = file;
    this.#scanner = new SegmentScanner(io, file, header, from, nextLsn, limit);
  }

  get frames(): Frames {
    return this.#scanner.frames;
  }

  get file(): IoFile {
    return this.#file;
  }

  fill(): IoRoutine<boolean> {
    return this.#scanner.fill();
  }

  /** From now on nothing is looked for behind a block without frames. */
  endAtZeros(): void {
    this.#scanner.endAtZeros();
  }

  /** Continues where no frame was: there may be one now. */
  resume(limit = this.#io.size(this.#file)): void {
    this.#scanner.resume(limit);
  }

  /** Whether the file was reused for another segment since it was opened. */
  *isRecycled(): IoRoutine<boolean> {
    const { segmentId } = this.frames.header;
    try {
      return !sameId((yield* headerOf(this.#io, this.#file)).segmentId, segmentId);
    } catch (error) {
      // The header of the next segment is being written.
      if (WalError.is(error, 'WAL_BAD_HEADER')) return true;
      throw error;
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#scanner.close();
    try {
      closeFile(this.#io, this.#file);
    } catch (error) {
      // A backend that was disposed of with its log has closed the file.
      if (!WalError.is(error, 'WAL_CLOSED')) throw error;
    }
  }
}
