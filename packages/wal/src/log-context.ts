import type { Environment, SegmentedWal } from '@walstack/segmented';
import type { LogActivity } from './follow/log-activity.js';
import type { Lifecycle } from './lifecycle.js';

/** What the parts of one open log share. */
export interface LogContext {
  /** The directory, as it was given; of a URL its path. */
  readonly path: string;
  readonly log: SegmentedWal;
  readonly lifecycle: Lifecycle;
  readonly activity: LogActivity;
  readonly setTimer: Environment['setTimer'];
  readonly now: Environment['now'];
  /** Opened read-only: another process writes the log, or none. */
  readonly isReadonly: boolean;
}
