import { checkInteger, invalidType } from '@walstack/codec';
import type { SegmentedWalConfig } from '@walstack/segmented';

/** How a {@link Wal} is opened: everything that the segments of the log take, and when appended records are written. */
export interface WalOptions extends Omit<SegmentedWalConfig, 'directory'> {
  /** Hand appended records to the operating system after so many milliseconds at the latest. Default 10. */
  readonly flushDelayMs?: number;
  /** Hand them over as soon as so many bytes are pending. Default 1 MiB. */
  readonly flushBytes?: number;
}

/** When appended records are written. */
export interface FlushSettings {
  readonly flushDelayMs: number;
  readonly flushBytes: number;
}

/** Splits options into those of this layer and those of the segments below. */
export function splitOptions(path: string, options: WalOptions): { flush: FlushSettings; config: SegmentedWalConfig } {
  if (typeof options !== 'object' || options === null) throw invalidType('options', 'an object', options);
  const { flushDelayMs = 10, flushBytes = 1024 * 1024, ...rest } = options;
  return {
    flush: {
      flushDelayMs: checkInteger('flushDelayMs', flushDelayMs, 0, 0x7fff_ffff),
      flushBytes: checkInteger('flushBytes', flushBytes, 1),
    },
    config: { ...rest, directory: path },
  };
}
