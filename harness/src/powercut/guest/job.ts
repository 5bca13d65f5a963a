import type { Job } from '../../torture/job.js';

/** What a log of the guest does. */
export interface GuestJob extends Job {
  /** Whether it calls durable what was flushed only, as a log must not. */
  readonly careless: boolean;
}
