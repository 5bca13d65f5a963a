import type { Lsn } from '@walstack/codec';

/**
 * What is known of a follower.
 *
 * - `'reading'`: it is in this process and has no name: it holds what it has not read yet.
 * - `'holding'`: the log keeps what it has not acknowledged yet.
 * - `'expired'`: it was not heard of for `followerExpiryMs`, so the log keeps nothing for it.
 * - `'unreadable'`: its file is damaged or cannot be read; `reason` says why. The log keeps everything.
 * - `'other-log'`: its file belongs to another log. The log keeps everything.
 */
export type FollowerState = 'reading' | 'holding' | 'expired' | 'unreadable' | 'other-log';

/** A follower of a log. */
export interface FollowerStats {
  /** Its name; `undefined` for a follower in this process that has none. */
  readonly name: string | undefined;
  readonly state: FollowerState;
  /** The first LSN that it still needs; `undefined` when that is not known: then the log keeps everything. */
  readonly lsn: Lsn | undefined;
  /** How many records it still has to read or acknowledge, those included that its filter skips. */
  readonly lagRecords: number;
  /** How many bytes of the log that is; estimated by the number of records inside the segment that it reads. */
  readonly lagBytes: number;
  /** When it has last stored its position, or that it is there, milliseconds since the Unix epoch, by its own clock. */
  readonly storedAtMs: number | undefined;
  /** How long ago that was, by the clock of this log, in milliseconds; never negative. `undefined` also without a clock. */
  readonly ageMs: number | undefined;
  /** Whether a process has it open; `undefined` where that is not known, for example of one on another machine. */
  readonly alive: boolean | undefined;
  /** Why its file cannot be read: the code of the error, or its `reason` when it has one. */
  readonly reason: string | undefined;
}

/** A follower for which a truncation has kept what it was asked to remove. */
export type KeptFor = Pick<FollowerStats, 'name' | 'state' | 'lsn' | 'reason'>;
