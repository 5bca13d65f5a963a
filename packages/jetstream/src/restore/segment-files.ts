import { type FileHandle, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  blockEnd,
  encodeCheckpoint,
  encodeSegmentHeader,
  FileName,
  type Lsn,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentFileName,
} from '@walstack/codec';
import type { StoredFrame } from '@walstack/mmap-reader/internal';
import { callFailure } from '@walstack/storage-io';
import { FILE_MODE_DEFAULT } from '@walstack/storage-io/internal';
import { LostRecords } from './lost-records.js';

/** So many bytes are gathered before they are written. */
const WRITE_BYTES = 1024 * 1024;

/** A segment whose file is written. */
interface OpenSegment {
  readonly header: SegmentHeader;
  readonly file: FileHandle;
  /** Behind the last frame. */
  end: number;
  /** Where the batch begins that is not complete; `undefined` between batches. */
  batch: { readonly end: number; readonly nextLsn: Lsn } | undefined;
  nextLsn: Lsn;
}

/** What is added to a segment. */
interface Added {
  readonly frames: readonly StoredFrame[];
  /** How many records are lost in holes among the frames. */
  readonly lost: number;
  readonly nextLsn: Lsn;
}

/** What was written. */
interface Written {
  readonly firstLsn: Lsn;
  readonly lastLsn: Lsn;
  readonly records: number;
  readonly segments: number;
}

/** Up to where a log is written. */
export interface SegmentPlace {
  readonly segment: number;
  /** Behind the last frame of that segment. */
  readonly end: number;
  readonly nextLsn: Lsn;
}

/** Writes the segment files of a log, each frame where it was in the original. */
export class SegmentFiles {
  readonly #directory: string;
  /** Whether the files are those of a log that is read meanwhile, and may be there from before. */
  readonly #isReplica: boolean;
  #hasNewFile = false;
  readonly #headers: SegmentHeader[] = [];
  readonly #lost = new LostRecords();
  #open: OpenSegment | undefined;
  #gathered: Uint8Array[] = [];
  #gatheredAt = 0;
  #gatheredBytes = 0;

  /** @param directory - an empty one, but for a replica */
  constructor(directory: string, isReplica = false) {
    this.#directory = directory;
    this.#isReplica = isReplica;
  }

  /**
   * Goes on in files that are there.
   *
   * @param headers - of the segments, in order; the last one is the one that is open
   */
  async resume(headers: readonly SegmentHeader[], { end, nextLsn }: SegmentPlace): Promise<void> {
    this.#headers.push(...headers);
    const header = headers.at(-1) as SegmentHeader;
    const path = this.#pathOf(header);
    const file = await onDisk('open', path, () => open(path, 'r+'));
    this.#open = { header, file, end, batch: undefined, nextLsn };
    this.#gatheredAt = end;
  }

  /** The first LSN of a batch that is not complete, so that no reader finds it; `undefined` between batches. */
  get openBatchLsn(): Lsn | undefined {
    return this.#open?.batch?.nextLsn;
  }

  /**
   * Begins a segment, which ends the one before, or is in place of some before.
   *
   * @param beforeRemoving - called before the files of those are removed, with where the log goes on: the segment has the name of a draft then
   */
  async begin(header: SegmentHeader, beforeRemoving?: (place: SegmentPlace) => Promise<void>): Promise<void> {
    await this.#endSegment();
    this.#lost.cutTo(header.firstLsn);
    const path = this.#pathOf(header);
    const block = new Uint8Array(header.blockBytes);
    encodeSegmentHeader(block, header);
    const isCut = this.#endsBehind(header.firstLsn);
    if (isCut && beforeRemoving !== undefined) {
      await onDisk('write', path, () => this.#makeDraft(block));
      await beforeRemoving({ segment: header.number, end: block.length, nextLsn: header.firstLsn });
    }
    while (this.#endsBehind(header.firstLsn)) {
      const removed = this.#pathOf(this.#headers.pop() as SegmentHeader);
      await onDisk('remove', removed, () => rm(removed));
    }
    if (this.#isReplica && this.#headers.length === 0 && header.predecessor !== undefined) {
      await this.#writeCheckpoint(header);
    }
    const file = await onDisk('open', path, () =>
      this.#isReplica ? this.#openNamed(path, block, isCut) : open(path, 'wx', FILE_MODE_DEFAULT),
    );
    this.#hasNewFile = true;
    this.#headers.push(header);
    this.#open = { header, file, end: header.blockBytes, batch: undefined, nextLsn: header.firstLsn };
    this.#gatheredAt = 0;
    this.#gather(block);
  }

  /** Whether the last segment begins with an LSN, or behind it. */
  #endsBehind(lsn: Lsn): boolean {
    return (this.#headers.at(-1)?.firstLsn ?? 0) >= lsn;
  }

  /** Opens a segment of a replica, which has its name only with its header: others may read it at any time. */
  async #openNamed(path: string, block: Uint8Array, isMade: boolean): Promise<FileHandle> {
    const present = isMade ? undefined : await this.#openPresent(path, block.subarray(0, SEGMENT_HEADER_BYTES));
    if (present !== undefined) return present;
    if (!isMade) await this.#makeDraft(block);
    await rename(join(this.#directory, FileName.nextSegment), path);
    return await open(path, 'r+');
  }

  /** Writes the header of a segment, durably. */
  async #makeDraft(block: Uint8Array): Promise<void> {
    const draft = join(this.#directory, FileName.nextSegment);
    await writeFile(draft, block, { mode: FILE_MODE_DEFAULT, flush: true });
  }

  /** Opens a segment that is there from before a crash, with this header: what is written again are the same bytes. */
  async #openPresent(path: string, header: Uint8Array): Promise<FileHandle | undefined> {
    const file = await ifThere(open(path, 'r+'));
    if (file === undefined) return undefined;
    const found = Buffer.alloc(header.length);
    await file.read(found, 0, found.length, 0);
    if (found.equals(header)) return file;
    await file.close();
    return undefined;
  }

  /**
   * Adds a record with the marks and holes before it, or those at the end of a segment.
   *
   * @param isContinued - whether the batch of the record continues in the next one
   */
  async add({ frames, lost, nextLsn }: Added, isContinued: boolean): Promise<void> {
    const segment = this.#open as OpenSegment;
    if (isContinued) {
      segment.batch ??= { end: segment.end, nextLsn: segment.nextLsn };
    } else segment.batch = undefined;
    for (const { position, bytes } of frames) {
      // The end of a segment may have been published twice.
      if (position < segment.end) continue;
      if (position > segment.end) this.#gather(new Uint8Array(position - segment.end));
      this.#gather(bytes);
      segment.end = position + bytes.length;
    }
    this.#lost.add(segment.nextLsn, lost);
    segment.nextLsn = nextLsn;
    if (this.#gatheredBytes >= WRITE_BYTES) await this.#write(segment);
  }

  /**
   * Ends the last segment, without a batch that is not complete, and makes everything durable.
   *
   * @returns the first and the last LSN, the last one before the first one where there is no record; and how many there are, without those
   * that are lost in holes
   */
  async finish(): Promise<Written> {
    const last = this.#open;
    if (last?.batch !== undefined) {
      await this.#write(last);
      const { file, header, batch } = last;
      await onDisk('truncate', this.#pathOf(header), () => file.truncate(batch.end));
      last.end = last.batch.end;
      last.nextLsn = last.batch.nextLsn;
      this.#lost.cutTo(last.nextLsn);
    }
    await this.#endSegment();
    const [first] = this.#headers;
    if (first?.predecessor !== undefined) await this.#writeCheckpoint(first);
    await syncDirectory(this.#directory);
    const firstLsn = first?.firstLsn ?? 1;
    const lastLsn = (last?.nextLsn ?? firstLsn) - 1;
    const records = lastLsn - firstLsn + 1 - this.#lost.countBetween(firstLsn, lastLsn + 1);
    return { firstLsn, lastLsn, records, segments: this.#headers.length };
  }

  /** Hands everything that was added to the operating system. */
  async flush(): Promise<void> {
    if (this.#open !== undefined && this.#gatheredBytes > 0) await this.#write(this.#open);
  }

  /** Makes everything that was added durable. @returns up to where; `undefined` before the first segment */
  async sync(): Promise<SegmentPlace | undefined> {
    const segment = this.#open;
    if (segment === undefined) return undefined;
    await this.flush();
    await onDisk('sync', this.#pathOf(segment.header), () => segment.file.sync());
    if (this.#hasNewFile) await syncDirectory(this.#directory);
    this.#hasNewFile = false;
    return { segment: segment.header.number, end: segment.end, nextLsn: segment.nextLsn };
  }

  /** Closes the open file. */
  async close(): Promise<void> {
    await this.#open?.file.close();
    this.#open = undefined;
  }

  /** The log begins with this segment, though the segment names one before. */
  async #writeCheckpoint({ logId, number }: SegmentHeader): Promise<void> {
    const bytes = encodeCheckpoint({ logId, firstSegment: number, checkpointLsn: 0, holds: {} });
    const path = join(this.#directory, FileName.checkpoint);
    const flag = this.#isReplica ? 'w' : 'wx';
    await onDisk('write', path, () => writeFile(path, bytes, { flag, mode: FILE_MODE_DEFAULT, flush: true }));
  }

  async #endSegment(): Promise<void> {
    const segment = this.#open;
    if (segment === undefined) return;
    await this.#write(segment);
    const { file, header, end } = segment;
    await onDisk('truncate', this.#pathOf(header), async () => {
      await file.truncate(blockEnd(end, header.blockBytes));
      await file.sync();
    });
    await this.close();
  }

  #gather(bytes: Uint8Array): void {
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
  }

  async #write({ file, header }: OpenSegment): Promise<void> {
    const bytes = Buffer.concat(this.#gathered);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    await onDisk('write', this.#pathOf(header), async () => {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, at, bytes.length - at, this.#gatheredAt + at);
        at += bytesWritten;
      }
    });
    this.#gatheredAt += bytes.length;
  }

  #pathOf({ number, firstLsn }: SegmentHeader): string {
    return join(this.#directory, segmentFileName(number, firstLsn));
  }
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  await onDisk('sync', path, async () => {
    const directory = await open(path, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  });
}

/** Whether a directory is missing or empty. */
export async function isFree(path: string): Promise<boolean> {
  const names = await onDisk('list', path, () => ifThere(readdir(path)));
  return names === undefined || names.length === 0;
}

/** The result of a call of the file system, whose errors become those of this library. @throws `WAL_NO_SPACE`, `WAL_IO_FAILED` */
export async function onDisk<T>(operation: string, path: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw callFailure(operation, path, error);
  }
}

/** The result of an operation on a file or directory; `undefined` when that is missing. */
export async function ifThere<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
