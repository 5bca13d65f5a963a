import { FRAME_HEADER_BYTES, type Lsn, RecordFlag, type SegmentHeader } from '@walstack/codec';
import { type StoredFrame, sameId } from '@walstack/mmap-reader/internal';
import {
  damaged,
  decodeRecordMessage,
  decodeSegmentMessage,
  isSegmentMessage,
  type RecordMessage,
  type SegmentMessage,
} from '../messages/message.js';
import type { StreamMessage } from '../stream/stream-messages.js';

/** A segment of a log, or a record of it, as a stream has it. */
export type LogMessage = (SegmentMessage | RecordMessage) & Pick<StreamMessage, 'sequence' | 'last'>;

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
    const record = decodeRecordMessage(bytes, header, where);
    nextLsn = behindHoles(record.frames, nextLsn);
    if (record.lsn !== nextLsn)
      throw damaged(where, 'order', `it has LSN ${record.lsn} where ${nextLsn} has to follow`);
    nextLsn++;
    yield { ...record, sequence, last };
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

/** The next LSN behind the holes among some frames. */
function behindHoles(frames: readonly StoredFrame[], nextLsn: Lsn): Lsn {
  let next = nextLsn;
  for (const { bytes } of frames.slice(0, -1)) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const isHole = (view.getUint8(FRAME_HEADER_BYTES + 18) & RecordFlag.hole) !== 0;
    if (isHole) next += view.getUint32(FRAME_HEADER_BYTES + 8, true);
  }
  return next;
}
