import type { StoredRecord } from '@walstack/mmap-reader/internal';
import type { WalFollower } from './follow.js';
import type { FollowFrom, FollowOptions } from './follow-options.js';
import type { Followed } from './reading.js';

/** How records are followed as they are stored. */
export type StoredFollowOptions = Pick<FollowOptions, 'name' | 'onHole' | 'signal'> & { readonly batch: number };

/** The log, whose records are returned as they are stored. */
export function asStoredLog(followed: Followed<unknown>): Followed<unknown> {
  return { ...followed, isStored: true, toEvent: (record) => record };
}

/** Follows an open log. */
export interface StoredFollowable {
  followStored(from: FollowFrom, options: StoredFollowOptions): WalFollower<readonly StoredRecord[]>;
}

const followersOfLogs = new WeakMap<object, StoredFollowable>();

/** Gives a log its followers. */
export function setStoredFollowers(wal: object, followers: StoredFollowable): void {
  followersOfLogs.set(wal, followers);
}

/**
 * Follows an open log, and returns records as they are stored, with their frames: no key is needed. Otherwise like `Wal.follow`.
 */
export function followStored(
  wal: object,
  from: FollowFrom,
  options: StoredFollowOptions,
): WalFollower<readonly StoredRecord[]> {
  const followers = followersOfLogs.get(wal);
  if (followers === undefined) throw new TypeError('not a log of this package');
  return followers.followStored(from, options);
}
