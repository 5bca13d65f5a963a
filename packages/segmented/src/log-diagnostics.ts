import { performance } from 'node:perf_hooks';
import { type Lsn, WalError } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import { announce, type LogMessage, type TypedChannel, typedChannel, writerChannels } from './diagnostics.js';
import type { Environment } from './environment.js';
import { type FollowerMessage, followerChannel } from './followers/followers.js';
import type { Settings } from './options.js';
import type { Opened } from './recovery/recover.js';
import type { RecoveryReport } from './recovery/recovery-report.js';
import type { TruncateResult } from './write/allocation/segment-removal.js';

/** A log was opened. Channel `walstack:open`. */
export interface OpenMessage extends LogMessage {
  /** Name of the backend. */
  readonly backend: string;
  /** Whether a new log was created. */
  readonly created: boolean;
  readonly firstLsn: Lsn;
  readonly lastLsn: Lsn;
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
}

/** An existing log was recovered. Channel `walstack:recover`, before `walstack:open`. */
export interface RecoverMessage extends LogMessage {
  readonly report: RecoveryReport;
}

/**
 * A log was opened on a file system that weakens its guarantees. Channel `walstack:caution`, before `walstack:open`.
 */
export interface CautionMessage extends LogMessage {
  /** The type of the file system, as the system names it. */
  readonly fileSystem: string;
  /** Which guarantee is weaker, in one sentence. */
  readonly message: string;
}

/** The beginning or the end of a log was cut off. Channel `walstack:truncate`. */
export interface TruncateMessage extends LogMessage, TruncateResult {
  readonly firstLsn: Lsn;
  readonly lastLsn: Lsn;
}

/**
 * The channels of `node:diagnostics_channel` on which a log publishes its events. A channel without subscribers costs
 * nothing: no message is created for it. Subscribers run in the writing thread, between two steps of its I/O routines:
 * they may call any method of the log, and should return quickly.
 */
export const channels: typeof writerChannels & {
  readonly caution: TypedChannel<CautionMessage>;
  readonly open: TypedChannel<OpenMessage>;
  readonly recover: TypedChannel<RecoverMessage>;
  readonly truncate: TypedChannel<TruncateMessage>;
  readonly follower: TypedChannel<FollowerMessage>;
} = {
  ...writerChannels,
  caution: typedChannel('walstack:caution'),
  open: typedChannel('walstack:open'),
  recover: typedChannel('walstack:recover'),
  truncate: typedChannel('walstack:truncate'),
  follower: followerChannel,
};

/** Opens a log and publishes the result on the channels. */
export function* announced<T extends Opened>(
  environment: Environment,
  settings: Settings,
  opening: IoRoutine<T>,
): IoRoutine<T> {
  const { directory } = settings;
  // Not the clock of the environment, which may jump: nothing but this message depends on the duration.
  const begunAt = performance.now();
  try {
    const opened = yield* opening;
    const { report } = opened;
    const { created, firstLsn, lastLsn } = report;
    if (!created && channels.recover.hasSubscribers) announce(channels.recover, { directory, report });
    if (channels.caution.hasSubscribers) announceCaution(environment, directory);
    if (channels.open.hasSubscribers) {
      const durationMs = performance.now() - begunAt;
      announce(channels.open, { directory, backend: environment.io.name, created, firstLsn, lastLsn, durationMs });
    }
    return opened;
  } catch (error) {
    if (WalError.is(error)) announce(channels.error, { directory, operation: 'open', error });
    throw error;
  }
}

/** Publishes a caution when the file system of a log weakens its guarantees. */
function announceCaution({ io }: Environment, directory: string): void {
  const { type, caution } = io.fileSystem?.(directory) ?? {};
  if (type === undefined || caution === undefined) return;
  announce(channels.caution, { directory, fileSystem: type, message: `${directory} lies on ${caution}.` });
}
