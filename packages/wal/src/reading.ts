import { checkOptions } from '@walstack/codec/internal';
import { checkFrom } from '@walstack/mmap-reader/internal';
import type { ReadFrom, ReadOptions, Replay, SegmentedWal } from '@walstack/segmented';
import { READ_OPTIONS } from '@walstack/segmented/internal';
import { type Abortable, checkSignal } from './commit/aborting.js';
import type { EventReading, PayloadCodec } from './encoding.js';

/** How a log is read. */
export interface WalReadOptions extends ReadOptions, Abortable {}

const WAL_READ_OPTIONS = Object.freeze([...READ_OPTIONS, 'signal'] as const);

/** The events of a log from an LSN on. @throws what the replay of the log throws, `TypeError` for a wrong signal */
export function readEvents<T>(
  log: SegmentedWal,
  payloads: Pick<PayloadCodec<T, never>, 'eventsOf'>,
  from: ReadFrom,
  options: WalReadOptions,
): EventReading<T> {
  checkFrom('from', from);
  // Here and not only by the log, which has no `signal` to suggest.
  const { signal, ...rest } = checkOptions('options', options, WAL_READ_OPTIONS);
  checkSignal(signal);
  return payloads.eventsOf(replay(log, from, rest), signal);
}

function replay(log: SegmentedWal, from: ReadFrom, options: ReadOptions): Replay {
  return from === 'first' ? log.replay(options) : log.replayFrom(from, options);
}
