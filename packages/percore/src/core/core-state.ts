import type { IoRoutine } from '@walstack/storage-io';
import { Pace, TURN } from '@walstack/storage-io/internal';
import { type Committed, NOTHING_COMMITTED } from '../commits/commit.js';
import { CommitLedger, type CommitPlaces, NO_PLACES } from '../commits/commit-ledger.js';
import type { CheckpointPlace } from '../recovery/manifest.js';
import type { CoreEntry } from './entries/entry.js';
import type { EntryReader } from './entries/entry-reader.js';

/** Counts of entries by kind. */
export interface EntryCounts {
  readonly puts: number;
  readonly deletes: number;
  readonly checkpoints: number;
  readonly barriers: number;
  readonly commits: number;
  /** Bytes of keys and values. */
  readonly bytes: number;
}

/** The state of the log of one core up to some entry. */
export interface CoreState {
  /** The highest epoch of an entry; 0 when there is none. */
  readonly epoch: number;
  readonly timestampUs: number;
  /** The last epoch that ends within these entries, with a barrier or with an entry of a later epoch; 0 for none. */
  readonly barrierEpoch: number;
  /** The last entry is the core's last barrier: later epochs do not wait for this core. */
  readonly retired: boolean;
  /** A manager appended that last barrier: no epoch waits for entries that a writer appends after it without a manager. */
  readonly retiredByManager: boolean;
  /** A manager retired the core, and a writer appended to it afterwards without a manager: no epoch waits for it either. */
  readonly detached: boolean;
  /** Whether the log ever had an entry: epochs do not wait for a log that a crash left empty. */
  readonly used: boolean;
  /** The LSN of the last entry. */
  readonly lsn: number;
  readonly committed: Committed;
  /** The places of those commits. */
  readonly commitPlaces: CommitPlaces;
  /** What was appended under a manager; a manager writes a manifest before it appends an entry. */
  readonly managed: 'no' | 'barriers' | 'entries';
  readonly counts: EntryCounts;
}

const NO_ENTRIES: EntryCounts = { puts: 0, deletes: 0, checkpoints: 0, barriers: 0, commits: 0, bytes: 0 };

/** The state of a log before its first entry. @param lsn - the LSN before the first entry */
export function initialState(lsn: number): CoreState {
  return {
    epoch: 0,
    timestampUs: 0,
    barrierEpoch: 0,
    retired: false,
    retiredByManager: false,
    detached: false,
    used: false,
    lsn,
    committed: NOTHING_COMMITTED,
    commitPlaces: NO_PLACES,
    managed: 'no',
    counts: NO_ENTRIES,
  };
}

/** The state of a log at a checkpoint. @param epoch - the epoch of the checkpoint */
export function stateAt(place: CheckpointPlace, epoch: number): CoreState {
  const { lsn, timestampUs, retired, committed, committedBeforeRetirement = [], outdated = [] } = place;
  return {
    ...initialState(lsn),
    epoch,
    timestampUs,
    barrierEpoch: epoch,
    used: true,
    retired,
    retiredByManager: retired,
    committed,
    commitPlaces: {
      ...NO_PLACES,
      retired: new Set(retired ? committed.offsets.keys() : committedBeforeRetirement),
      outdated: new Set(outdated),
      checkpointEpoch: epoch,
    },
    managed: 'barriers',
  };
}

/** Reads a log to its end, and returns its state there. Closes the reader. */
export function* replayState(reader: EntryReader, before: CoreState): IoRoutine<CoreState> {
  const state = { ...before, counts: { ...before.counts } };
  const ledger = new CommitLedger(before.committed, before.commitPlaces);
  const pace = new Pace();
  try {
    while (yield* reader.advance()) {
      for (let entry = reader.next(); entry !== undefined; entry = reader.next()) {
        applyEntry(state, ledger, entry);
        if (pace.isDue()) yield TURN;
      }
    }
  } finally {
    reader.close();
  }
  state.committed = ledger.committed;
  state.commitPlaces = ledger.places;
  return state;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
type ReplayedState = Mutable<Omit<CoreState, 'counts'>> & { readonly counts: Mutable<EntryCounts> };

function applyEntry(state: ReplayedState, ledger: CommitLedger, entry: CoreEntry): void {
  const { counts } = state;
  const isManaged = entry.operation === 'epochBarrier' && entry.managed === true;
  if (isManaged) state.detached = false;
  else if (state.retiredByManager) state.detached = true;
  state.retiredByManager = isManaged && entry.last;
  // A truncation may have removed the barrier before this entry.
  if (entry.epoch - 1 > state.barrierEpoch) state.barrierEpoch = entry.epoch - 1;
  state.epoch = entry.epoch;
  state.timestampUs = entry.timestampUs;
  state.lsn = entry.sequence;
  state.retired = false;
  state.used = true;
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
      state.retired = entry.last;
      if (entry.last) ledger.markRetired();
      if (entry.managed && state.managed === 'no') state.managed = 'barriers';
      return;
    case 'commit':
      counts.commits++;
      ledger.add(entry, entry.epoch, entry.sequence);
  }
}
