import { checkFrom } from '@walstack/mmap-reader/internal';
import type { ReadFrom, ReadOptions, SegmentedWal } from '@walstack/segmented';
import type { EventReading, PayloadCodec } from './encoding.js';

/** How a log is read. */
export type WalReadOptions = ReadOptions;

/** The events of a log from an LSN on. @throws what the replay of the log throws */
export function readEvents<T>(
  log: SegmentedWal,
  payloads: Pick<PayloadCodec<T, never>, 'eventsOf'>,
  from: ReadFrom,
  options: WalReadOptions,
): EventReading<T> {
  checkFrom('from', from);
  return payloads.eventsOf(from === 'first' ? log.replay(options) : log.replayFrom(from, options));
}
