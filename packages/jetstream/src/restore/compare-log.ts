import { type Lsn, WalError } from '@walstack/codec';
import { checkInteger, checkOptions, checkPath } from '@walstack/codec/internal';
import type { StoredRecord } from '@walstack/mmap-reader/internal';
import { openStorageIo } from '@walstack/storage-io';
import { checkSignal } from '@walstack/storage-io/internal';
import { checkStream, type LogStreamOptions, STREAM_OPTIONS } from '../options.js';
import { endedBy } from '../stream/ended-by.js';
import { LogStream } from '../stream/log-stream.js';
import { LocalRecords } from './local-records.js';
import { LostRecords } from './lost-records.js';
import { logMessages } from './stream-log.js';

/** With which stream a log is compared. */
export interface CompareOptions extends LogStreamOptions {
  /** So many differences are listed. Default 100. */
  readonly differencesMax?: number;
  /** Ends the comparison. */
  readonly signal?: AbortSignal;
}

/** How the records of a log and its stream differ. */
export interface CompareReport {
  /** Whether each record that both could have is the same, byte for byte, and the stream has no record that the log has not. */
  readonly agrees: boolean;
  /** Records that are the same. */
  readonly records: number;
  /** LSNs with different records, at most `differencesMax`. */
  readonly differing: readonly Lsn[];
  readonly differingRecords: number;
  /** The first and the last LSN of the stream and of the log; 0 where there is none. */
  readonly stream: { readonly firstLsn: Lsn; readonly lastLsn: Lsn };
  readonly log: { readonly firstLsn: Lsn; readonly lastLsn: Lsn };
}

const OPTIONS = [...STREAM_OPTIONS, 'differencesMax', 'signal'] as const;

/**
 * Compares the log in a directory with its stream, record by record: the bytes of each frame. Keys are not needed. Records before
 * the first one of either are not compared, those that are truncated meanwhile neither, and those that the log has behind the last one
 * of the stream are not shipped yet.
 *
 * @throws `WAL_NOT_FOUND`, `WAL_CORRUPT` when the stream or the log has anything that cannot be read; `WAL_TIMEOUT`,
 * `WAL_IO_FAILED`, `WAL_ABORTED`
 */
export async function compareLog(directory: string | URL, options: CompareOptions): Promise<CompareReport> {
  const path = checkPath('directory', directory);
  const { differencesMax = 100, signal } = checkOptions('options', options, OPTIONS);
  checkInteger('differencesMax', differencesMax);
  checkSignal(signal);
  const settings = { ...checkStream(options), signal };
  return await endedBy(signal, 'the comparison was aborted', async () => {
    const stream = await LogStream.open(settings);
    const io = openStorageIo('auto', { needs: 'async' });
    const log = new LocalRecords(io, path);
    try {
      return await compared(stream, log, differencesMax);
    } finally {
      log.close();
      await io.dispose();
      await stream.close();
    }
  });
}

async function compared(stream: LogStream, log: LocalRecords, differencesMax: number): Promise<CompareReport> {
  const { state } = await stream.info();
  const last = state.messages === 0 ? 0 : state.last_seq;
  let firstLocal = await log.first();
  const own = { firstLsn: 0, lastLsn: 0 };
  let differing: Lsn[] = [];
  /** Those of the stream. */
  const lost = new LostRecords();
  for await (const message of logMessages(stream.messages(Math.max(1, state.first_seq), last))) {
    stream.throwIfAborted();
    if (message.kind === 'segment') {
      const { firstLsn } = message.header;
      if (own.firstLsn === 0 || firstLsn < own.firstLsn) own.firstLsn = firstLsn;
      // Where the log was cut, what was compared from there on counts no more.
      own.lastLsn = firstLsn - 1;
      differing = differing.filter((lsn) => lsn < firstLsn);
      lost.cutTo(firstLsn);
      continue;
    }
    const before = own.lastLsn;
    own.lastLsn = message.nextLsn - 1;
    lost.add(before + 1, message.lost);
    if (message.kind === 'end') continue;
    const { lsn, frames } = message;
    if (lsn < firstLocal) continue;
    let local: StoredRecord | undefined;
    try {
      local = await log.read(lsn);
    } catch (error) {
      // The log was truncated meanwhile.
      if (!WalError.is(error, 'WAL_TRUNCATED') || error.firstLsn === undefined || error.firstLsn <= lsn) throw error;
      firstLocal = error.firstLsn;
      continue;
    }
    const bytes = frames.at(-1)?.bytes as Uint8Array;
    if (local === undefined || Buffer.compare(local.bytes, bytes) !== 0) differing.push(lsn);
  }
  const ends = { firstLsn: firstLocal, lastLsn: await log.last() };
  const firstCommon = Math.max(own.firstLsn, firstLocal);
  let records = Math.max(0, own.lastLsn - firstCommon + 1);
  records -= differing.filter((lsn) => lsn >= firstCommon).length;
  records -= lost.countBetween(firstCommon, own.lastLsn + 1);
  return Object.freeze({
    agrees: differing.length === 0 && own.firstLsn > 0,
    records,
    differing: Object.freeze(differing.slice(0, differencesMax)),
    differingRecords: differing.length,
    stream: Object.freeze(own),
    log: Object.freeze(ends.lastLsn < ends.firstLsn ? { firstLsn: 0, lastLsn: 0 } : ends),
  });
}
