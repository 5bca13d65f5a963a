import { channel } from 'node:diagnostics_channel';
import { performance } from 'node:perf_hooks';
import type { Lsn } from '@walstack/codec';
import type { LogMessage, SegmentedWal, TypedChannel } from '@walstack/segmented';

/** Commits were served: their events are durable. Channel `walstack:commit`. */
export interface CommitMessage extends LogMessage {
  /** How many were served together. */
  readonly commits: number;
  readonly durableLsn: Lsn;
  /** From the beginning of their group to now, in milliseconds; `undefined` where they were not served by a group. */
  readonly durationMs: number | undefined;
}

export const commitChannel: TypedChannel<CommitMessage> = channel('walstack:commit');

/** Says that commits were served. */
export function announceCommits({ directory, durableLsn }: SegmentedWal, commits: number, begunAt?: number): void {
  // Not the world's clock: that one may jump, and nothing depends on what is told here.
  const durationMs = begunAt === undefined ? undefined : performance.now() - begunAt;
  commitChannel.publish({ directory, commits, durableLsn, durationMs });
}
