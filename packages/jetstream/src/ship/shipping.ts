import { decodeFrame, type Lsn, type SegmentHeader, segmentSeed, WalError } from '@walstack/codec';
import type { SegmentEnd, StoredFrame, StoredRecord } from '@walstack/mmap-reader/internal';
import { decodeSegmentMessage, encodeFrames, encodeRecordMessage, encodeSegmentMessage } from '../messages/message.js';
import { endId, logIdText, partId, recordId, segmentId } from '../messages/message-id.js';
import { split } from '../messages/parts.js';
import { fenced } from '../options.js';
import type { LogStream, StreamEnd } from '../stream/log-stream.js';
import type { PublishWindow } from './publish-window.js';

/**
 * Publishes the records of a log behind what its stream ends with. The last record there has to be the one of the log: otherwise
 * another writer has published it, or another log.
 */
export class Shipping {
  readonly #stream: LogStream;
  readonly #window: PublishWindow;
  readonly #end: StreamEnd;
  readonly #stored: (record: StoredRecord, isPublished: boolean) => void;
  /** Whether the log was cut since: then its record with that LSN is another one. */
  readonly #isCut: boolean;
  /** The header of the segment that the records published last belong to. */
  #segment: Uint8Array | undefined;
  /** The same, as the reader has it. */
  #current: SegmentHeader | undefined;
  #logId = '';
  #isChecked = false;

  /** @param stored - called for each record that is stored in the stream, in order */
  constructor(
    stream: LogStream,
    window: PublishWindow,
    end: StreamEnd,
    isCut: boolean,
    stored: (record: StoredRecord, isPublished: boolean) => void,
  ) {
    this.#stream = stream;
    this.#window = window;
    this.#end = end;
    this.#isCut = isCut;
    this.#stored = stored;
    this.#segment = end.segment;
  }

  /**
   * Publishes the next record.
   *
   * @returns to be awaited where it is not `undefined`
   * @throws `WAL_FENCED`, and why an earlier message was not stored
   */
  ship(record: StoredRecord): Promise<void> | undefined {
    if (!this.#isChecked && this.#isPublished(record)) return undefined;
    if (record.segment !== this.#current || record.ends.length > 0) return this.#shipFirst(record);
    return this.#publish(record);
  }

  /** Publishes the first record of a segment, and before it the ends of those before. */
  async #shipFirst(record: StoredRecord): Promise<void> {
    for (const end of record.ends) await this.#shipEnd(end);
    await this.#enter(record.segment);
    await this.#publish(record);
  }

  /** Publishes the end of a segment, unless the stream has a later one. It may have this end already. */
  async #shipEnd({ segment, frames }: SegmentEnd): Promise<void> {
    if (this.#segment !== undefined && segment.number < this.#numberOf(this.#segment)) return;
    await this.#enter(segment);
    const bytes = encodeFrames(frames);
    const id = endId(this.#logId, segment.number);
    if (bytes.length > this.#stream.contentBytesMax) await this.#publishParts(id, bytes, () => {});
    else await this.#window.publish({ id, bytes, part: undefined }, () => {});
  }

  #numberOf(header: Uint8Array): number {
    return decodeSegmentMessage(header, this.#stream.name).header.number;
  }

  #publish(record: StoredRecord): Promise<void> | undefined {
    const { segment, lsn } = record;
    const bytes = encodeRecordMessage(record);
    const id = recordId(this.#logId, segment.number, lsn);
    const stored = (): void => this.#stored(record, true);
    if (bytes.length > this.#stream.contentBytesMax) return this.#publishParts(id, bytes, stored);
    return this.#window.publish({ id, bytes, part: undefined }, stored);
  }

  async #publishParts(id: string, whole: Uint8Array, stored: () => void): Promise<void> {
    const parts = split(whole, this.#stream.contentBytesMax);
    const of = parts.length;
    for (const [index, bytes] of parts.entries()) {
      const part = { number: index + 1, of };
      const message = { id: partId(id, part.number, of), bytes, part };
      await this.#window.publish(message, part.number < of ? () => {} : stored);
    }
  }

  /**
   * Begins behind the last record of the stream where the log ends with a hole that has it, instead of with the first record of the log.
   *
   * @throws `WAL_FENCED`
   */
  passLast(segment: SegmentHeader): void {
    this.#checkLog(logIdText(segment.logId), segment.firstLsn);
    if (this.#end.record !== undefined) this.#passHole(segment, this.#end.record);
  }

  /** Publishes where a log goes on that has no record any more, unless the stream has that. @throws `WAL_FENCED`, `WAL_TRUNCATED` */
  async begin(segment: SegmentHeader, stored: () => void): Promise<void> {
    const bytes = encodeSegmentMessage(segment);
    const logId = logIdText(segment.logId);
    this.#checkLog(logId, segment.firstLsn);
    if (this.#segment === undefined) {
      await this.#window.publish({ id: segmentId(logId, segment.number), bytes, part: undefined }, stored);
      this.#segment = bytes;
    } else if (Buffer.compare(bytes, this.#segment) === 0) stored();
    else
      throw this.#truncated(decodeSegmentMessage(this.#segment, this.#stream.name).header.firstLsn, segment.firstLsn);
  }

  /** Publishes the header of a segment, unless the stream has it. */
  async #enter(segment: SegmentHeader): Promise<void> {
    const logId = logIdText(segment.logId);
    const bytes = encodeSegmentMessage(segment);
    if (this.#segment === undefined || Buffer.compare(bytes, this.#segment) !== 0) {
      this.#checkNumber(segment);
      await this.#window.publish({ id: segmentId(logId, segment.number), bytes, part: undefined }, () => {});
      this.#segment = bytes;
    }
    this.#current = segment;
    this.#logId = logId;
  }

  /** Of a log that was cut at the end of the stream, the segment has a higher number. */
  #checkNumber({ number, firstLsn }: SegmentHeader): void {
    if (this.#segment === undefined || number > this.#numberOf(this.#segment)) return;
    throw fenced(this.#stream.name, 'other-writer', `has another segment ${number} than the log`, firstLsn);
  }

  /** Checks the first record of the log. @returns whether the stream has it already */
  #isPublished(record: StoredRecord): boolean {
    const { record: last } = this.#end;
    const { name } = this.#stream;
    this.#isChecked = true;
    this.#checkLog(logIdText(record.segment.logId), record.lsn);
    if (last === undefined || this.#isCut) return false;
    if (this.#end.cutTo !== undefined) {
      const isSame = Buffer.compare(encodeSegmentMessage(record.segment), this.#segment as Uint8Array) === 0;
      if (isSame && record.lsn === this.#end.cutTo) return false;
      throw fenced(
        name,
        'other-writer',
        `goes on with LSN ${this.#end.cutTo} in another segment than the log`,
        record.lsn,
      );
    }
    if (record.lsn === last.lsn + 1) {
      this.#passHole(beginningOf(record), last);
      return false;
    }
    if (record.lsn > last.lsn && beginningOf(record).firstLsn === last.lsn + 1) return false;
    if (record.lsn !== last.lsn) throw this.#truncated(last.lsn + 1, record.lsn);
    if (Buffer.compare(record.bytes, last.frame.bytes) !== 0) {
      throw fenced(name, 'other-writer', `has another record with LSN ${last.lsn} than the log`, last.lsn);
    }
    // The stream has the header of the segment of that record.
    this.#segment ??= encodeSegmentMessage(record.segment);
    this.#stored(record, false);
    return true;
  }

  /** Where the last record of the stream was truncated, or is lost in a hole of the log: then its segment has to be that of the stream. */
  #passHole(segment: SegmentHeader, { lsn, frame }: { readonly lsn: Lsn; readonly frame: StoredFrame }): void {
    if (segment.firstLsn > lsn) return;
    if (decodeFrame(frame.bytes, 0, segmentSeed(segment.segmentId)) === undefined) {
      throw fenced(this.#stream.name, 'other-writer', `has a record with LSN ${lsn} that the log has not`, lsn);
    }
    this.#segment ??= encodeSegmentMessage(segment);
  }

  #checkLog(logId: string, lsn: Lsn): void {
    if (this.#end.logId === undefined || this.#end.logId === logId) return;
    throw fenced(this.#stream.name, 'other-log', 'has the records of another log', lsn);
  }

  #truncated(lsn: Lsn, firstLsn: Lsn): WalError {
    const { name } = this.#stream;
    const what = `the stream ${name} ends before LSN ${lsn}, and the log goes on with ${firstLsn}`;
    return new WalError('WAL_TRUNCATED', what, { path: name, lsn, firstLsn });
  }
}

/** The segment where what belongs to a record begins: it may have holes, which are shipped. */
const beginningOf = ({ segment, ends }: StoredRecord): SegmentHeader => ends[0]?.segment ?? segment;
