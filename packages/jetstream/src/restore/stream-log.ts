import { isHole, type Lsn, type SegmentHeader } from '@walstack/codec';
import { nextLsnBehind, type StoredFrame, sameId } from '@walstack/mmap-reader/internal';
import {
  damaged,
  decodeFramesMessage,
  decodeSegmentMessage,
  type EndMessage,
  headerIn,
  isSegmentMessage,
  type RecordMessage,
  type SegmentMessage,
} from '../messages/message.js';
import type { StreamMessage } from '../stream/stream-messages.js';

/** A segment of a log, a record of it, or the end of a segment, as a stream has it. */
export type LogMessage = (SegmentMessage | WithLost<RecordMessage | EndMessage>) &
  Pick<StreamMessage, 'sequence' | 'last'>;

/** What has frames, with the number of records that are lost in holes among them. */
type WithLost<T> = T & {
  readonly lost: number;
  /** The LSN behind all of it. */
  readonly nextLsn: Lsn;
};

/**
 * Reads the messages of a stream as those of one log, in order: every checksum is right, and every LSN follows the one before. The
 * header of a segment goes back to an earlier LSN where the log was cut: what follows is in place of what was before.
 *
 * @param before - what was read before these messages: nothing, when it is left out
 * @throws `WAL_CORRUPT` for anything else
 */
export async function* logMessages(
  messages: AsyncIterable<StreamMessage>,
  before?: { readonly header: SegmentHeader; readonly nextLsn: Lsn },
): AsyncGenerator<LogMessage, void, undefined> {
  let { header, nextLsn }: { header?: SegmentHeader; nextLsn?: Lsn } = before ?? {};
  for await (const { sequence, where, bytes, last } of messages) {
    if (isSegmentMessage(bytes)) {
      const message = decodeSegmentMessage(bytes, where);
      checkSegment(message.header, header, nextLsn, where);
      header = message.header;
      nextLsn = header.firstLsn;
      yield { ...message, sequence, last };
      continue;
    }
    // A stream whose first messages were removed begins with the first segment that it has whole.
    if (header === undefined || nextLsn === undefined) continue;
    const message = decodeFramesMessage(bytes, header, where);
    const before = nextLsn;
    nextLsn = behindHoles(message.kind === 'record' ? message.frames.slice(0, -1) : message.frames, nextLsn, where);
    const lost = nextLsn - before;
    if (message.kind === 'record') {
      if (message.lsn !== nextLsn)
        throw damaged(where, 'order', `it has LSN ${message.lsn} where ${nextLsn} has to follow`);
      nextLsn++;
    }
    yield { ...message, lost, nextLsn, sequence, last };
  }
}

function checkSegment(next: SegmentHeader, before: SegmentHeader | undefined, nextLsn: Lsn | undefined, where: string) {
  if (before === undefined || nextLsn === undefined) return;
  if (!sameId(next.logId, before.logId)) throw damaged(where, 'other-log', 'it belongs to another log');
  if (next.number <= before.number) {
    throw damaged(where, 'order', `it has segment ${next.number} behind segment ${before.number}`);
  }
  if (next.firstLsn > nextLsn)
    throw damaged(where, 'order', `its segment begins with LSN ${next.firstLsn}, not ${nextLsn}`);
}

/** The next LSN behind the holes among marks. What was published again counts once. */
function behindHoles(marks: readonly StoredFrame[], nextLsn: Lsn, where: string): Lsn {
  let next = nextLsn;
  for (const frame of marks) {
    const header = headerIn(frame);
    if (!isHole(header)) continue;
    if (header.lsn > next)
      throw damaged(where, 'order', `it has a hole at LSN ${header.lsn}, where ${next} has to follow`);
    next = Math.max(next, nextLsnBehind(header));
  }
  return next;
}
