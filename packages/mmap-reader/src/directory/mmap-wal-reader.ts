import { closeSync, openSync } from 'node:fs';
import { PayloadDecoder, type SegmentHeader, WalError } from '@walstack/codec';
import { checkOptions, checkPath, notConstructible } from '@walstack/codec/internal';
import type { MappingAdvice } from '@walstack/native';
import { recycled } from '../chain/chain-errors.js';
import { isSealed } from '../chain/sealed.js';
import { checkOnHole, type OnHole } from '../frames/holes.js';
import { checkDecoding, DECODING_OPTIONS, type DecodingSettings } from '../records/decoding.js';
import { makeCursor, type RecordCursor, type StopReason } from '../records/record-cursor.js';
import type { WalRecord } from '../records/wal-record.js';
import type { FileWindows } from '../windows/file-windows.js';
import { MappedFile, tryToMap } from '../windows/mapped-file.js';
import { ReadFile } from '../windows/read-file.js';
import { headerOfOpen } from '../windows/segment-id.js';
import { SegmentSource } from './segment-source.js';

/** How one segment is read. */
export interface SegmentReadOptions extends DecodingSettings {
  /**
   * What to do where records are lost, in a log that was salvaged around them: `'throw'`, the default, throws `WAL_HOLE`, whose
   * `firstLsn` and `lastLsn` say which ones, and the next call reads on behind them; `'skip'` does so without the error.
   */
  readonly onHole?: OnHole;
}

const OPTIONS = [...DECODING_OPTIONS, 'onHole'] as const satisfies readonly (keyof SegmentReadOptions)[];

/**
 * Reads one segment file, without a lock on its log: a sealed one is mapped into memory, and payloads are views of the
 * mapping; one that may still be written to, or where files cannot be mapped, is read into memory.
 *
 * A sealed segment is one that has a successor beside it. While it is mapped no writer, in any process, reuses its
 * file. Records are valid until {@link close}; from then on every view is empty. When another program truncates the
 * file meanwhile, views of what was cut off are zeros, and reading the next record throws `WAL_CORRUPT`.
 */
export class MmapWalReader implements Iterable<WalRecord> {
  /** The segment's header. */
  readonly header: SegmentHeader;
  readonly path: string;
  readonly #file: FileWindows;
  readonly #mapped: MappedFile | undefined;
  readonly #decoder: PayloadDecoder;
  readonly #onHole: OnHole;
  readonly #sources = new Set<SegmentSource>();
  readonly #source: SegmentSource;
  readonly #cursor: RecordCursor;

  private constructor(
    path: string,
    header: SegmentHeader,
    file: FileWindows,
    decoding: DecodingSettings,
    onHole: OnHole,
  ) {
    if (decoding === undefined) throw notConstructible('MmapWalReader', 'use MmapWalReader.open(path)');
    this.path = path;
    this.header = header;
    this.#file = file;
    this.#mapped = file instanceof MappedFile ? file : undefined;
    this.#decoder = new PayloadDecoder(header, path, decoding);
    this.#onHole = onHole;
    this.#source = this.#newSource();
    this.#cursor = makeCursor(this.#source);
  }

  /**
   * Opens a segment file for reading.
   *
   * @throws `WAL_NOT_FOUND`; `WAL_BAD_HEADER` for a file that is no segment; `WAL_UNSUPPORTED_VERSION`;
   * `WAL_IO_FAILED`; `WAL_BAD_KEY`, `WAL_UNSUPPORTED` when the ring cannot get its key synchronously; `TypeError`,
   * `RangeError` for wrong arguments
   */
  static open(path: string | URL, options: SegmentReadOptions = {}): MmapWalReader {
    const checkedPath = checkPath('path', path);
    const { onHole = 'throw', ...given } = checkOptions('options', options, OPTIONS);
    const decoding = checkDecoding(given);
    checkOnHole('onHole', onHole);
    const header = readHeaderAt(checkedPath);
    const { keyRing } = decoding;
    if (header.encrypted && keyRing?.has(header.keyId) === false) keyRing.loadSync([header.keyId]);
    const file = openFile(checkedPath, header);
    try {
      return new MmapWalReader(checkedPath, header, file, decoding, onHole);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Whether the file is mapped, and not read into memory. */
  get isMapped(): boolean {
    return this.#mapped !== undefined;
  }

  /** The advice that the kernel was given for the mapping; `undefined` when nothing is mapped. */
  get madviseState(): MappingAdvice | undefined {
    return this.#mapped === undefined || this.#mapped.isClosed ? undefined : 'sequential';
  }

  /** Where {@link nextRecord} continues: the offset after the last record that it returned and marks after that. */
  get offset(): number {
    return this.#source.end;
  }

  /** The size of the file in bytes. */
  get length(): number {
    return this.#file.size;
  }

  /** Whether it has no readable record. @throws `WAL_CLOSED` */
  get isEmpty(): boolean {
    const cursor = makeCursor(this.#newSource('skip'));
    try {
      return !cursor.next();
    } finally {
      cursor.close();
    }
  }

  /** Bytes of the file that are in the page cache; 0 when it is not mapped. */
  get residentBytes(): number {
    return this.#mapped === undefined || this.#mapped.isClosed ? 0 : this.#mapped.residentBytes();
  }

  /** Why `nextRecord` returns no further record; `undefined` while it may. */
  get stopReason(): StopReason | undefined {
    return this.#cursor.stopReason;
  }

  /**
   * The next record, with meta and payload as views of the file in memory, or decoded.
   *
   * @returns `undefined` at the end, or at the first frame that cannot be read: see {@link stopReason}
   * @throws `WAL_BAD_KEY`, `WAL_TOO_LARGE`, `WAL_UNSUPPORTED` when it cannot be decoded; `WAL_TRUNCATED` when the file was
   * reused while it was read without a mapping; `WAL_HOLE` where records are lost; `WAL_IO_FAILED`; `WAL_CORRUPT` when it was
   * truncated by another program
   */
  nextRecord(): WalRecord | undefined {
    return this.#cursor.next() ? this.#cursor.record() : undefined;
  }

  /** All records from the first one on. @throws `WAL_CLOSED`; what {@link nextRecord} throws */
  *records(): Generator<WalRecord, void, undefined> {
    const cursor = this.cursor();
    try {
      while (cursor.next()) yield cursor.record() as WalRecord;
    } finally {
      cursor.close();
    }
  }

  /** All records from the first one on: {@link records}. */
  [Symbol.iterator](): Generator<WalRecord, void, undefined> {
    return this.records();
  }

  /** A cursor before the first record, which allocates nothing for a record. @throws `WAL_CLOSED` */
  cursor(): RecordCursor {
    return makeCursor(this.#newSource());
  }

  /**
   * Drops the pages of the segment from this process's memory and from the page cache, because they will not be needed
   * soon. Later reads come from the disk; views stay valid. Does nothing when it is not mapped.
   */
  releasePages(): void {
    if (this.#mapped !== undefined && !this.#mapped.isClosed) this.#mapped.release();
  }

  /** Empties every view of the file, and closes it. Idempotent. */
  close(): void {
    for (const source of [...this.#sources]) source.close();
    this.#file.close();
  }

  /** Closes the reader: {@link close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #newSource(onHole = this.#onHole): SegmentSource {
    if (this.#file.isClosed) throw closed(this.path);
    const source: SegmentSource = new SegmentSource(
      this.#file,
      this.#decoder,
      this.header,
      this.#mapped === undefined,
      onHole,
      () => {
        this.#sources.delete(source);
      },
    );
    this.#sources.add(source);
    return source;
  }
}

function closed(path: string): WalError {
  return new WalError('WAL_CLOSED', `the reader of ${path} was closed: open it again`, { path, state: 'closed' });
}

/** Reads the header of a file that may be no segment. */
function readHeaderAt(path: string): SegmentHeader {
  try {
    const fd = openSync(path, 'r');
    try {
      return headerOfOpen(fd, path);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw WalError.is(error) ? error : openFailure(path, error as NodeJS.ErrnoException);
  }
}

function openFile(path: string, header: SegmentHeader): FileWindows {
  try {
    return mapSealed(path, header) ?? readWhole(path, header);
  } catch (error) {
    throw WalError.is(error) ? error : openFailure(path, error as NodeJS.ErrnoException);
  }
}

function mapSealed(path: string, header: SegmentHeader): FileWindows | undefined {
  if (!isSealed(path)) return undefined;
  const file = tryToMap(path, true);
  if (file === undefined) return undefined;
  try {
    if (file.hasId(header.segmentId)) {
      file.window(0, 0);
      return file;
    }
  } catch (error) {
    // No memory for mappings, or a runtime without them: reading may still work.
    if (!WalError.is(error, 'WAL_IO_FAILED')) throw error;
  }
  file.close();
  return undefined;
}

function readWhole(path: string, header: SegmentHeader): FileWindows {
  const file = new ReadFile(path, true);
  if (file.hasId(header.segmentId)) return file;
  file.close();
  throw recycled(path, header.firstLsn);
}

function openFailure(path: string, error: NodeJS.ErrnoException): WalError {
  const { code, message } = error;
  const cause = { cause: error };
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new WalError('WAL_NOT_FOUND', `there is no segment at ${path}`, { path, operation: 'open' }, cause);
  }
  if (code === 'EISDIR') {
    return new WalError(
      'WAL_BAD_HEADER',
      `${path} is a directory, not a segment: open one of its files`,
      { path, reason: 'not-a-file' },
      cause,
    );
  }
  const facts = { path, operation: 'open', ...(code === undefined ? {} : { systemCode: code }) };
  return new WalError('WAL_IO_FAILED', `${path} cannot be opened: ${message}`, facts, cause);
}
