import { type Channel, channel } from 'node:diagnostics_channel';
import type { WalError } from '@walstack/codec';
import { afterStep } from '@walstack/storage-io';
import type { Settings } from './options.js';
import type { SegmentMeta } from './segments/segment.js';

/** What every message says: which log it is about. */
export interface LogMessage {
  /** The directory of the log. */
  readonly directory: string;
}

/** The log went over to its next segment. Channel `walstack:roll`. */
export interface RollMessage extends LogMessage {
  readonly sealed: SegmentMeta;
  readonly active: SegmentMeta;
}

/** A freed file became the file of a new segment. Channel `walstack:recycle`. */
export interface RecycleMessage extends LogMessage {
  /** Number of the segment. */
  readonly segment: number;
}

/** A log could not be opened, or failed for good. Channel `walstack:error`. */
export interface ErrorMessage extends LogMessage {
  readonly operation: 'open' | 'write';
  readonly error: WalError;
}

/** A channel of `node:diagnostics_channel` with messages of one type. */
export interface TypedChannel<Message> extends Pick<Channel, 'name' | 'hasSubscribers'> {
  publish(message: Message): void;
}

/** The channels of what happens while a log is written. */
export const writerChannels: {
  readonly roll: TypedChannel<RollMessage>;
  readonly recycle: TypedChannel<RecycleMessage>;
  readonly error: TypedChannel<ErrorMessage>;
} = {
  roll: channel('walstack:roll'),
  recycle: channel('walstack:recycle'),
  error: channel('walstack:error'),
};

/** Publishes a message when the step of a routine that it tells of is over: listeners may call anything. */
export function announce<Message>(channel: TypedChannel<Message>, message: Message): void {
  afterStep(() => channel.publish(message));
}

/** Says that a log has failed for good. */
export function announceFailure({ directory, onFailure }: Settings, error: WalError): void {
  announce(writerChannels.error, { directory, operation: 'write', error });
  // In a turn of its own: it must not come in the middle of what failed, and what it throws is an uncaught exception.
  if (onFailure !== undefined) queueMicrotask(() => onFailure(error));
}
