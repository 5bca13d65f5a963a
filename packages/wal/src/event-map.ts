import type { Encoding, WalEvent } from './encoding.js';
import type { FollowOptions } from './follow/follow-options.js';
import type { WalReadOptions } from './reading.js';

// Types only: what payload the events of each type have. The log does not check it.

/** Whether all properties of a type are numbers that are known: the types of events. */
export type IsEventMap<M> = [keyof M] extends [never]
  ? false
  : [keyof M] extends [number]
    ? number extends keyof M
      ? false
      : true
    : false;

/** The encodings of a log with an event map. */
export type EventMapEncoding<M> = 'json' | Encoding<M[keyof M], M[keyof M]>;

/** An event of a log with an event map: the `type` decides what its `payload` is. */
export type MappedEvent<M, K extends keyof M = keyof M> = K extends number
  ? Omit<WalEvent<M[K]>, 'type'> & { readonly type: K }
  : never;

/** The type of an event that is appended. */
export interface OfType<K> {
  readonly type: K;
}

interface OfTypes<K> {
  /** Only events of these types. */
  readonly types?: Iterable<K>;
}

/** How events of some types are read. */
export type ReadTypes<K> = Omit<WalReadOptions, 'types'> & OfTypes<K>;
/** How events of some types are followed. */
export type FollowTypes<K> = Omit<FollowOptions, 'types' | 'batch'> & OfTypes<K>;

/** Events of some types, as a `WalIterator` has all. */
export interface MappedIterator<Event> extends Iterable<Event>, AsyncIterable<Event> {}
