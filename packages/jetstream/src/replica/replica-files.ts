import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FileName, type Lsn, type SegmentHeader, WalError } from '@walstack/codec';
import { type StoredRecord, sameId } from '@walstack/mmap-reader/internal';
import type { StorageIo } from '@walstack/storage-io';
import { DIRECTORY_MODE_DEFAULT, FILE_MODE_DEFAULT } from '@walstack/storage-io/internal';
import { LocalRecords } from '../restore/local-records.js';
import { isFree, SegmentFiles, type SegmentPlace } from '../restore/segment-files.js';
import type { LogMessage } from '../restore/stream-log.js';
import { headerOf } from '../ship/source.js';
import { finishCut, segmentNames } from './replica-cut.js';
import { hashOf, NOWHERE, type ReplicaPlace, readPlace, writePlace } from './replica-place.js';

/** A message of a stream, and the hash of the bytes of its last part. */
interface Message {
  readonly sequence: number;
  readonly hash: () => string;
}

/** The segment that is written, and the LSN that comes next. */
interface Position {
  readonly header: SegmentHeader;
  readonly nextLsn: Lsn;
}

/**
 * The files of a replica. What was written behind the stored place is written again after a crash: the same bytes at the same
 * positions, so that readers see no difference. One call at a time.
 */
export class ReplicaFiles {
  readonly #directory: string;
  readonly #stream: string;
  readonly #io: StorageIo;
  readonly #unlock: () => void;
  readonly #files: SegmentFiles;
  /** What is there behind the stored place, until the first record that is not; to compare it with the stream. */
  #local: LocalRecords | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #position: Position | undefined;
  #message: Message | undefined;
  /** The sequence that is stored; `undefined` when the directory is not known as that of a replica yet. */
  #storedSequence: number | undefined;

  private constructor(
    directory: string,
    stream: string,
    io: StorageIo,
    unlock: () => void,
    files: SegmentFiles,
    place: ReplicaPlace | undefined,
    header: SegmentHeader | undefined,
  ) {
    this.#directory = directory;
    this.#stream = stream;
    this.#io = io;
    this.#unlock = unlock;
    this.#files = files;
    this.#storedSequence = place?.sequence;
    if (place === undefined) return;
    this.#local = new LocalRecords(io, directory);
    if (header === undefined) return;
    this.#message = { sequence: place.sequence, hash: () => place.hash };
    this.#position = { header, nextLsn: place.nextLsn };
  }

  /** Locks the directory, for this and every writer. @throws `WAL_LOCKED`, `WAL_FOREIGN_DIRECTORY` when it is that of another log */
  static async open(directory: string, stream: string, io: StorageIo): Promise<ReplicaFiles> {
    await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE_DEFAULT });
    const place = await readPlace(directory);
    if (place === undefined && !(await isFree(directory)) && (await hasSegments(directory))) {
      const what = `${directory} has a log that is no replica: use a directory that is missing or empty`;
      throw new WalError('WAL_FOREIGN_DIRECTORY', what, { path: directory });
    }
    const unlock = io.lock(join(directory, FileName.lock), FILE_MODE_DEFAULT);
    try {
      const files = new SegmentFiles(directory, true);
      if (place === undefined || place.segment === NOWHERE.segment) {
        return new ReplicaFiles(directory, stream, io, unlock, files, place, undefined);
      }
      await finishCut(directory, place);
      const headers = (await segmentNames(directory))
        .filter(({ number }) => number <= place.segment)
        .map(({ name }) => headerOf(join(directory, name)));
      if (headers.at(-1)?.number !== place.segment) {
        const what = `${directory} has no segment ${place.segment}: begin with an empty directory`;
        throw new WalError('WAL_CORRUPT', what, { path: directory, reason: 'missing-segment' });
      }
      await files.resume(headers, place);
      return new ReplicaFiles(directory, stream, io, unlock, files, place, headers.at(-1));
    } catch (error) {
      unlock();
      throw error;
    }
  }

  /** The last message that was added, by this or an earlier replica. */
  get message(): Message | undefined {
    return this.#message;
  }

  /** The segment that is written, and the LSN that comes next. */
  get position(): Position | undefined {
    return this.#position;
  }

  /** Adds a message of the stream. @throws `WAL_FENCED` when the directory has another record in its place */
  add(message: LogMessage): Promise<void> {
    return this.#inTurn(async () => {
      const { sequence, last } = message;
      if (message.kind === 'segment') {
        await this.#checkSegment(message.header);
        // From now on what is found in the directory is known to be from here.
        if (this.#storedSequence === undefined) await this.#storePlace(NOWHERE, { sequence: 0, hash: () => '' });
        // Where it was, and the segment of that, may be cut off: it must not go on there.
        await this.#files.begin(message.header, (place) =>
          this.#storePlace(place, { sequence, hash: () => hashOf(last) }),
        );
        this.#position = { header: message.header, nextLsn: message.header.firstLsn };
      } else await this.#addFrames(message);
      this.#message = { sequence, hash: () => hashOf(last) };
    });
  }

  async #addFrames(message: Exclude<LogMessage, { readonly kind: 'segment' }>): Promise<void> {
    if (message.kind === 'record') await this.#checkRecord(message);
    await this.#files.add(message, message.kind === 'record' && message.isContinued);
    this.#position = { header: (this.#position as Position).header, nextLsn: message.nextLsn };
  }

  /** A record that is there has to be the one of the stream. */
  async #checkRecord({ lsn, frames }: Extract<LogMessage, { readonly kind: 'record' }>): Promise<void> {
    const local = await this.#readLocal(lsn);
    if (local === undefined) this.#dropLocal();
    else if (Buffer.compare(local.bytes, frames.at(-1)?.bytes as Uint8Array) !== 0) throw this.#fenced(lsn);
  }

  /** Hands everything to the operating system, where readers find it. @returns the last LSN of that */
  flush(): Promise<Lsn> {
    return this.#inTurn(async () => {
      await this.#files.flush();
      return (this.#files.openBatchLsn ?? this.#position?.nextLsn ?? 1) - 1;
    });
  }

  async #storePlace(place: SegmentPlace, { sequence, hash }: Message): Promise<void> {
    await writePlace(this.#directory, { ...place, stream: this.#stream, sequence, hash: hash() });
    this.#storedSequence = sequence;
  }

  /** Makes everything durable, and stores how far that is, unless nothing is new, or a batch is not complete. */
  store(): Promise<void> {
    return this.#inTurn(async () => {
      const message = this.#message;
      if (message === undefined || message.sequence === this.#storedSequence) return;
      if (this.#files.openBatchLsn !== undefined) return;
      const place = await this.#files.sync();
      if (place !== undefined) await this.#storePlace(place, message);
    });
  }

  async close(): Promise<void> {
    await this.#turn;
    this.#dropLocal();
    await this.#files.close();
    this.#unlock();
    await this.#io.dispose();
  }

  /** A segment that is there has to be the one of the stream, unless the log was cut: then what is there may be older. */
  async #checkSegment({ firstLsn, segmentId }: SegmentHeader): Promise<void> {
    if (firstLsn < (this.#position?.nextLsn ?? firstLsn)) return this.#dropLocal();
    const local = await this.#readLocal(firstLsn);
    if (local !== undefined && !sameId(local.segment.segmentId, segmentId)) throw this.#fenced(firstLsn);
  }

  /** A record that is there; `undefined` where there is none that can be read: what a crash has left is written again. */
  async #readLocal(lsn: Lsn): Promise<StoredRecord | undefined> {
    try {
      return await this.#local?.read(lsn);
    } catch (error) {
      if (WalError.is(error)) return undefined;
      throw error;
    }
  }

  #fenced(lsn: Lsn): WalError {
    const what = `${this.#directory} has another record with LSN ${lsn} than the stream: it was written by itself`;
    return new WalError('WAL_FENCED', what, { path: this.#directory, lsn, reason: 'other-writer' });
  }

  #dropLocal(): void {
    this.#local?.close();
    this.#local = undefined;
  }

  #inTurn<T>(call: () => Promise<T>): Promise<T> {
    const answer = this.#turn.then(call);
    this.#turn = answer.catch(() => {});
    return answer;
  }
}

const hasSegments = async (directory: string): Promise<boolean> => (await segmentNames(directory)).length > 0;
