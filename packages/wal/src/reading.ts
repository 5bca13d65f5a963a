import type { Lsn } from '@walstack/codec';
import { checkOptions, optionNames } from '@walstack/codec/internal';
import type { ReadOptions, Replay, SegmentedWal } from '@walstack/segmented';
import { type Abortable, checkSignal, hasSignal } from './commit/aborting.js';
import type { EventReading, PayloadCodec } from './encoding.js';

/** How a log is read. */
export interface WalReadOptions extends ReadOptions, Abortable {}

const READ_OPTIONS = optionNames<WalReadOptions>({
  copy: true,
  to: true,
  types: true,
  scope: true,
  fromTimeMs: true,
  toTimeMs: true,
  signal: true,
});

/** The events of a log from an LSN on. @throws what the replay of the log throws, `TypeError` for a wrong signal */
export function readEvents<T>(
  log: SegmentedWal,
  payloads: Pick<PayloadCodec<T, never>, 'eventsOf'>,
  from: Lsn | 'first',
  options: WalReadOptions,
): EventReading<T> {
  if (!hasSignal(options)) return payloads.eventsOf(replay(log, from, options), undefined);
  const { signal, ...rest } = checkOptions('options', options, READ_OPTIONS);
  checkSignal(signal);
  return payloads.eventsOf(replay(log, from, rest), signal);
}

function replay(log: SegmentedWal, from: Lsn | 'first', options: ReadOptions): Replay {
  return from === 'first' ? log.replay(options) : log.replayFrom(from, options);
}
