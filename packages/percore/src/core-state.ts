import type { IoRoutine } from '@walstack/storage-io';
import { type Committed, committedAfter, NOTHING_COMMITTED } from './commit.js';
import type { CoreEntry } from './entry.js';
import type { EntryReader } from './entry-reader.js';

/** How many entries of each kind there are. */
export interface EntryCounts {
  readonly puts: number;
  readonly deletes: number;
  readonly checkpoints: number;
  readonly barriers: number;
  readonly commits: number;
  /** Bytes of keys and values. */
  readonly bytes: number;
}

/** What is known of the log of one core up to some place. */
export interface CoreState {
  /** The highest epoch of an entry; 0 when there is none. */
  readonly epoch: number;
  readonly timestampUs: number;
  /** The last epoch that ends with a barrier; 0 when none does. */
  readonly barrierEpoch: number;
  /** The core appended nothing behind its last barrier, and was not to: no later epoch waits for it. */
  readonly left: boolean;
  /** Whether it was used at all: a log that a crash left empty makes nobody wait. */
  readonly joined: boolean;
  /** The LSN of the last entry. */
  readonly lsn: number;
  readonly committed: Committed;
  readonly counts: EntryCounts;
}

const NO_ENTRIES: EntryCounts = { puts: 0, deletes: 0, checkpoints: 0, barriers: 0, commits: 0, bytes: 0 };

/** What is known of a log before its first entry. @param lsn - the one before the first */
export function initialState(lsn: number): CoreState {
  return {
    epoch: 0,
    timestampUs: 0,
    barrierEpoch: 0,
    left: false,
    joined: false,
    lsn,
    committed: NOTHING_COMMITTED,
    counts: NO_ENTRIES,
  };
}

/** Reads a log to its end, and returns what is known then. Closes the reader. */
export function* survey(reader: EntryReader, before: CoreState): IoRoutine<CoreState> {
  const state = { ...before, counts: { ...before.counts } };
  try {
    while (yield* reader.advance()) {
      for (let entry = reader.next(); entry !== undefined; entry = reader.next()) take(state, entry);
    }
  } finally {
    reader.close();
  }
  return state;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
type Surveyed = Mutable<Omit<CoreState, 'counts'>> & { readonly counts: Mutable<EntryCounts> };

function take(state: Surveyed, entry: CoreEntry): void {
  const { counts } = state;
  state.epoch = entry.epoch;
  state.timestampUs = entry.timestampUs;
  state.lsn = entry.sequence;
  state.left = false;
  state.joined = true;
  switch (entry.operation) {
    case 'put':
      counts.puts++;
      counts.bytes += entry.key.length + entry.value.length;
      return;
    case 'delete':
      counts.deletes++;
      counts.bytes += entry.key.length;
      return;
    case 'checkpoint':
      counts.checkpoints++;
      return;
    case 'epochBarrier':
      counts.barriers++;
      state.barrierEpoch = entry.epoch;
      state.left = entry.last;
      return;
    case 'commit':
      counts.commits++;
      state.committed = committedAfter(state.committed, entry);
  }
}
