import { type Channel, channel } from 'node:diagnostics_channel';
import type { WalError } from '@walstack/codec';
import { afterStep } from '@walstack/storage-io/internal';
import type { Settings } from './options.js';
import type { SegmentMeta } from './segments/segment.js';

/** The fields of every message. */
export interface LogMessage {
  /** The directory of the log. */
  readonly directory: string;
}

/** The log rolled to its next segment. Channel `walstack:roll`. */
export interface RollMessage extends LogMessage {
  readonly sealed: SegmentMeta;
  readonly active: SegmentMeta;
}

/** A freed file was reused for a new segment. Channel `walstack:recycle`. */
export interface RecycleMessage extends LogMessage {
  /** Number of the segment. */
  readonly segment: number;
}

/** A log could not be opened, or has failed permanently. Channel `walstack:error`. */
export interface ErrorMessage extends LogMessage {
  readonly operation: 'open' | 'write';
  readonly error: WalError;
}

/** A channel of `node:diagnostics_channel` with messages of one type. */
export interface TypedChannel<Message> extends Pick<Channel, 'name' | 'hasSubscribers'> {
  publish(message: Message): void;
  /** Calls `listener` with each message from now on. */
  subscribe(listener: (message: Message, name: string | symbol) => void): void;
  /** Ends that. */
  unsubscribe(listener: (message: Message, name: string | symbol) => void): unknown;
}

/** The channel of a name, whose messages only these packages publish: their type is known. */
export const typedChannel = <Message>(name: string): TypedChannel<Message> =>
  channel(name) as unknown as TypedChannel<Message>;

/** The channels for events while a log is written. */
export const writerChannels: {
  readonly roll: TypedChannel<RollMessage>;
  readonly recycle: TypedChannel<RecycleMessage>;
  readonly error: TypedChannel<ErrorMessage>;
} = {
  roll: typedChannel('walstack:roll'),
  recycle: typedChannel('walstack:recycle'),
  error: typedChannel('walstack:error'),
};

/**
 * Publishes a message after the current step of the I/O routine has ended, so that subscribers may call any method of
 * the log.
 */
export function announce<Message>(channel: TypedChannel<Message>, message: Message): void {
  afterStep(() => channel.publish(message));
}

/** Publishes that a log has failed permanently. */
export function announceFailure({ directory, onFailure }: Settings, error: WalError): void {
  announce(writerChannels.error, { directory, operation: 'write', error });
  // In a microtask of its own: the callback must not run in the middle of the failed step, and an error that it throws
  // must become an uncaught exception.
  if (onFailure !== undefined) queueMicrotask(() => onFailure(error));
}
