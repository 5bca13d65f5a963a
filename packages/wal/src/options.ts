import { checkInteger, checkOptions } from '@walstack/codec';
import type { SegmentedWalConfig } from '@walstack/segmented';

/** How a {@link Wal} is opened: everything that the segments of the log take, and when appended records are written. */
export interface WalOptions extends Omit<SegmentedWalConfig, 'directory' | 'coreId'> {
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

/** Every option, so that the compiler finds one that is missing here. */
const OPTIONS: Record<keyof WalOptions, true> = {
  create: true,
  io: true,
  segmentBytes: true,
  blockBytes: true,
  padGroups: true,
  maxInFlight: true,
  directIo: true,
  preallocate: true,
  recycleSegments: true,
  maxPayloadBytes: true,
  maxPendingBytes: true,
  markAfterMs: true,
  firstLsn: true,
  retainBytes: true,
  retainAgeMs: true,
  retainUntilCheckpoint: true,
  flushDelayMs: true,
  flushBytes: true,
  onFailure: true,
  now: true,
  setTimer: true,
  randomBytes: true,
};

const KNOWN = Object.keys(OPTIONS) as (keyof WalOptions)[];

/** Splits options into those of this layer and those of the segments below. */
export function splitOptions(path: string, options: WalOptions): { flush: FlushSettings; config: SegmentedWalConfig } {
  checkOptions('options', options, KNOWN);
  const { flushDelayMs = 10, flushBytes = 1024 * 1024, ...rest } = options;
  return {
    flush: {
      flushDelayMs: checkInteger('flushDelayMs', flushDelayMs, 0, 0x7fff_ffff),
      flushBytes: checkInteger('flushBytes', flushBytes, 1),
    },
    config: { ...rest, directory: path },
  };
}
