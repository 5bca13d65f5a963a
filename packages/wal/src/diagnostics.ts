import { performance } from 'node:perf_hooks';
import type { Lsn } from '@walstack/codec';
import { type LogMessage, channels as logChannels, type SegmentedWal, type TypedChannel } from '@walstack/segmented';
import { typedChannel } from '@walstack/segmented/internal';

/** Commits were resolved: their events are durable. Channel `walstack:commit`. */
export interface CommitMessage extends LogMessage {
  /** How many were resolved together. */
  readonly commits: number;
  readonly durableLsn: Lsn;
  /** From the beginning of their group to now, in milliseconds; `undefined` when no group made them durable. */
  readonly durationMs: number | undefined;
}

export const commitChannel: TypedChannel<CommitMessage> = typedChannel('walstack:commit');

/**
 * The channels of `node:diagnostics_channel` on which a log publishes its events, by their names without `walstack:`.
 *
 * ```ts
 * channels.roll.subscribe(({ directory, sealed }) => console.log(directory, sealed.lastLsn));
 * ```
 */
export const channels: typeof logChannels & { readonly commit: TypedChannel<CommitMessage> } = Object.freeze({
  ...logChannels,
  commit: commitChannel,
});

/** Publishes that commits were resolved. */
export function announceCommits({ directory, durableLsn }: SegmentedWal, commits: number, begunAt?: number): void {
  // Not the clock of the environment, which may jump; nothing depends on this figure.
  const durationMs = begunAt === undefined ? undefined : performance.now() - begunAt;
  commitChannel.publish({ directory, commits, durableLsn, durationMs });
}
