import { resolve } from 'node:path';
import { type Lsn, WalError } from '@walstack/codec';
import { checkInteger, checkOptions, checkPath, invalidType } from '@walstack/codec/internal';
import { checkSignal } from '@walstack/storage-io/internal';
import { checkStream, type LogStreamOptions, STREAM_OPTIONS } from '../options.js';
import { endedBy } from '../stream/ended-by.js';
import { LogStream } from '../stream/log-stream.js';
import { SegmentFiles } from './segment-files.js';
import { makeWhole } from './staging.js';
import { logMessages } from './stream-log.js';

/** What is restored, from which stream. */
export interface RestoreOptions extends LogStreamOptions {
  /** The last LSN that is restored. Default: all. */
  readonly to?: Lsn;
  /** Restore what the log was before the first record that is later than this, in milliseconds since the Unix epoch. Default: all. */
  readonly toTimeMs?: number;
  /** Ends the restore, which leaves nothing behind. */
  readonly signal?: AbortSignal;
  /** Called about each thousand records. An error that it throws ends the restore. Default: not called. */
  readonly onProgress?: (progress: { readonly sequence: number; readonly ofSequence: number }) => void;
}

/** What was restored. */
export interface RestoreReport {
  /** The first LSN of the restored log, and the last one, which is before the first one in a log without records. */
  readonly firstLsn: Lsn;
  readonly lastLsn: Lsn;
  /** How many records there are between them: those that are lost in holes of the log are not counted. */
  readonly records: number;
  readonly segments: number;
  /** The sequence of the last message that was read. */
  readonly sequence: number;
}

/** The names in {@link RestoreOptions} beside those of the stream. */
export const RESTORE_OPTIONS = ['to', 'toTimeMs', 'signal', 'onProgress'] as const;
const REPORT_EVERY = 1000;

/**
 * Makes the directory of a log from its stream: every record with its LSN, time and bytes, in the segments that the log had.
 * Keys are not needed. The directory appears when all of it is durable; what a call leaves that was killed, in
 * `<directory>.restoring`, the next one removes.
 *
 * ```ts
 * await restoreLog('data/orders', { connection: { servers: 'nats://localhost' }, log: 'orders', toTimeMs: Date.parse('2026-03-01T12:00Z') });
 * ```
 *
 * @param directory - a path or a `file:` URL: missing or empty
 * @throws `WAL_FOREIGN_DIRECTORY`, `WAL_NOT_FOUND` when there is no stream, or no log in it; `WAL_CORRUPT` when the stream has
 * anything but one log, in order; `WAL_LOCKED` while another call restores into the directory; `WAL_NO_SPACE`, `WAL_TIMEOUT`,
 * `WAL_IO_FAILED`, `WAL_ABORTED`
 */
export async function restoreLog(directory: string | URL, options: RestoreOptions): Promise<RestoreReport> {
  const path = resolve(checkPath('directory', directory));
  const {
    to = Number.MAX_SAFE_INTEGER,
    toTimeMs = Number.MAX_SAFE_INTEGER,
    signal,
    onProgress,
  } = checkOptions('options', options, [...STREAM_OPTIONS, ...RESTORE_OPTIONS]);
  checkInteger('to', to);
  checkInteger('toTimeMs', toTimeMs);
  checkSignal(signal);
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw invalidType('onProgress', 'a function', onProgress);
  const settings = { ...checkStream(options), signal };
  return await endedBy(signal, 'the restore was aborted, nothing was restored', () =>
    makeWhole(path, async (staged) => {
      const stream = await LogStream.open(settings);
      const files = new SegmentFiles(staged);
      try {
        const sequence = await readInto(files, stream, { to, toTimeMs, onProgress });
        const restored = await files.finish();
        if (restored.segments === 0) {
          throw new WalError('WAL_NOT_FOUND', `the stream ${stream.name} has no log`, {
            path: stream.name,
            reason: 'empty',
          });
        }
        return Object.freeze({ ...restored, sequence });
      } finally {
        await files.close();
        await stream.close();
      }
    }),
  );
}

/** The checked options. */
interface Asked {
  readonly to: Lsn;
  readonly toTimeMs: number;
  readonly onProgress: RestoreOptions['onProgress'];
}

async function readInto(files: SegmentFiles, stream: LogStream, asked: Asked): Promise<number> {
  const { to, toTimeMs, onProgress } = asked;
  const { state } = await stream.info();
  const last = state.messages === 0 ? 0 : state.last_seq;
  let read = 0;
  let isLeftOut = true;
  for await (const message of logMessages(stream.messages(Math.max(1, state.first_seq), last))) {
    stream.throwIfAborted();
    if (++read % REPORT_EVERY === 0) onProgress?.({ sequence: message.sequence, ofSequence: last });
    if (message.kind === 'segment') {
      // Made later, maybe by a cut: the log was still what it is before this message.
      if (message.header.createdAtMs > toTimeMs) return message.sequence;
      // What is behind the last LSN may be cut off, and go on before it.
      isLeftOut = message.header.firstLsn > to;
      if (!isLeftOut) await files.begin(message.header);
    } else {
      const { kind, nextLsn } = message;
      if (kind === 'record' && message.timestampMs > toTimeMs) return message.sequence;
      if (!isLeftOut && nextLsn <= to + 1) await files.add(message, kind === 'record' && message.isContinued);
    }
  }
  onProgress?.({ sequence: last, ofSequence: last });
  return last;
}
