import type { IoRoutine } from '@walstack/storage-io';
import type { CheckpointPlace } from '../recovery/manifest.js';
import { type Committed, NOTHING_COMMITTED } from './commit.js';
import { CommitLedger, type CommitPlaces, NO_PLACES } from './commit-ledger.js';
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
  /** The last epoch of which nothing stands behind what is there: a barrier says so, or an entry of the next one; 0 for none. */
  readonly barrierEpoch: number;
  /** The core appended nothing behind its last barrier, and was not to: no later epoch waits for it. */
  readonly left: boolean;
  /** It was a manager that appended that last barrier: what comes behind it without one is waited for by no epoch. */
  readonly leftManager: boolean;
  /** It has left under a manager, and what stands behind that was appended without one: no epoch waits for it either. */
  readonly alone: boolean;
  /** Whether it was used at all: a log that a crash left empty is not waited for. */
  readonly joined: boolean;
  /** The LSN of the last entry. */
  readonly lsn: number;
  readonly committed: Committed;
  /** Where it was committed. */
  readonly commitPlaces: CommitPlaces;
  /** Entries were appended under a manager, which has a manifest before it appends any. */
  readonly managed: 'no' | 'barriers' | 'entries';
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
    leftManager: false,
    alone: false,
    joined: false,
    lsn,
    committed: NOTHING_COMMITTED,
    commitPlaces: NO_PLACES,
    managed: 'no',
    counts: NO_ENTRIES,
  };
}

/** What is known of a log that is read from a checkpoint on. @param epoch - of the checkpoint */
export function stateAt(place: CheckpointPlace, epoch: number): CoreState {
  const { lsn, timestampUs, left, committed, committedBeforeLeaving = [] } = place;
  return {
    ...initialState(lsn),
    epoch,
    timestampUs,
    barrierEpoch: epoch,
    joined: true,
    left,
    leftManager: left,
    committed,
    commitPlaces: { ...NO_PLACES, left: new Set(left ? committed.offsets.keys() : committedBeforeLeaving) },
    managed: 'barriers',
  };
}

/** Reads a log to its end, and returns what is known then. Closes the reader. */
export function* survey(reader: EntryReader, before: CoreState): IoRoutine<CoreState> {
  const state = { ...before, counts: { ...before.counts } };
  const ledger = new CommitLedger(before.committed, before.commitPlaces);
  try {
    while (yield* reader.advance()) {
      for (let entry = reader.next(); entry !== undefined; entry = reader.next()) take(state, ledger, entry);
    }
  } finally {
    reader.close();
  }
  state.committed = ledger.committed;
  state.commitPlaces = ledger.places;
  return state;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
type Surveyed = Mutable<Omit<CoreState, 'counts'>> & { readonly counts: Mutable<EntryCounts> };

function take(state: Surveyed, ledger: CommitLedger, entry: CoreEntry): void {
  const { counts } = state;
  const isManaged = entry.operation === 'epochBarrier' && entry.managed === true;
  if (isManaged) state.alone = false;
  else if (state.leftManager) state.alone = true;
  state.leftManager = isManaged && entry.last;
  // A truncation may have taken the barrier before it.
  if (entry.epoch - 1 > state.barrierEpoch) state.barrierEpoch = entry.epoch - 1;
  state.epoch = entry.epoch;
  state.timestampUs = entry.timestampUs;
  state.lsn = entry.sequence;
  state.left = false;
  state.joined = true;
  if (state.managed === 'barriers' && entry.operation !== 'epochBarrier') state.managed = 'entries';
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
      if (entry.last) ledger.noteLeft();
      if (entry.managed && state.managed === 'no') state.managed = 'barriers';
      return;
    case 'commit':
      counts.commits++;
      ledger.add(entry, entry.epoch, entry.sequence);
  }
}
