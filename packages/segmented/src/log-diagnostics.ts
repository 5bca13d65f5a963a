import { channel } from 'node:diagnostics_channel';
import { performance } from 'node:perf_hooks';
import { type Lsn, WalError } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import { announce, type LogMessage, type TypedChannel, writerChannels } from './diagnostics.js';
import type { Environment } from './environment.js';
import type { Settings } from './options.js';
import type { Opened } from './recovery/recover.js';
import type { RecoveryReport } from './recovery/recovery-report.js';
import type { TruncateResult } from './retention/truncation.js';

/** A log was opened. Channel `walstack:open`. */
export interface OpenMessage extends LogMessage {
  /** Name of the backend. */
  readonly backend: string;
  /** Whether the log was made new. */
  readonly created: boolean;
  readonly firstLsn: Lsn;
  readonly lastLsn: Lsn;
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
}

/** A log that was there before was recovered. Channel `walstack:recover`, before `walstack:open`. */
export interface RecoverMessage extends LogMessage {
  readonly report: RecoveryReport;
}

/** A log was opened where it cannot rely on what it promises. Channel `walstack:caution`, before `walstack:open`. */
export interface CautionMessage extends LogMessage {
  /** The type of the file system, as the system names it. */
  readonly fileSystem: string;
  /** What cannot be relied on, in one sentence. */
  readonly message: string;
}

/** The beginning or the end of a log was cut off. Channel `walstack:truncate`. */
export interface TruncateMessage extends LogMessage, TruncateResult {
  readonly firstLsn: Lsn;
  readonly lastLsn: Lsn;
}

/**
 * The channels of `node:diagnostics_channel` on which a log says what happens to it. A channel without listeners costs
 * nothing: no message is made for it. Listeners are called in the thread that writes, between two steps of its routines: they
 * may call anything, and are to be quick.
 */
export const channels: typeof writerChannels & {
  readonly caution: TypedChannel<CautionMessage>;
  readonly open: TypedChannel<OpenMessage>;
  readonly recover: TypedChannel<RecoverMessage>;
  readonly truncate: TypedChannel<TruncateMessage>;
} = {
  ...writerChannels,
  caution: channel('walstack:caution'),
  open: channel('walstack:open'),
  recover: channel('walstack:recover'),
  truncate: channel('walstack:truncate'),
};

/** Opens a log, and says how that went. */
export function* announced<T extends Opened>(
  world: Environment,
  settings: Settings,
  opening: IoRoutine<T>,
): IoRoutine<T> {
  const { directory } = settings;
  // Not the world's clock: that one may jump, and nothing depends on what is told here.
  const begunAt = performance.now();
  try {
    const opened = yield* opening;
    const { report } = opened;
    const { created, firstLsn, lastLsn } = report;
    if (!created && channels.recover.hasSubscribers) announce(channels.recover, { directory, report });
    if (channels.caution.hasSubscribers) cautionOf(world, directory);
    if (channels.open.hasSubscribers) {
      const durationMs = performance.now() - begunAt;
      announce(channels.open, { directory, backend: world.io.name, created, firstLsn, lastLsn, durationMs });
    }
    return opened;
  } catch (error) {
    if (WalError.is(error)) announce(channels.error, { directory, operation: 'open', error });
    throw error;
  }
}

/** Says what of the file system of a log cannot be relied on. */
function cautionOf({ io }: Environment, directory: string): void {
  const { type, caution } = io.fileSystem?.(directory) ?? {};
  if (type === undefined || caution === undefined) return;
  announce(channels.caution, { directory, fileSystem: type, message: `${directory} lies on ${caution}.` });
}
