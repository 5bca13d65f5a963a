import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type MappedEvent, Wal, WalError, type WalProgress } from '@walstack/wal';
import { readJson, writeJson } from './durable-json.js';
import { LOG_OPTIONS, logIn, type OrderEvent, type OrderEvents } from './events.js';

/** A view of the events, made of one after the other. */
export interface Projection<State> {
  /** The name of its follower, and of its file. */
  readonly name: string;
  /** The types of the events that it needs. */
  readonly types: readonly (keyof OrderEvents)[];
  /** The state before any event: a value for JSON. */
  empty(): State;
  /** Changes the state. */
  apply(state: State, event: OrderEvent): void;
}

/** A state, and the last event that is in it. Both are stored together, so that no event is applied twice. */
export interface Projected<State> {
  readonly lsn: number;
  readonly state: State;
}

const folderIn = (directory: string): string => join(directory, 'projections');
const fileOf = (directory: string, name: string): string => join(folderIn(directory), `${name}.json`);

/** How many events are applied between two writes of the file, at most. */
const BATCH = 256;

/** What a projection has stored; `undefined` where that is nothing. */
export async function projected<State>(
  directory: string,
  { name }: Projection<State>,
): Promise<Projected<State> | undefined> {
  return (await readJson(fileOf(directory, name))) as Projected<State> | undefined;
}

/**
 * Keeps a projection up to date until it is ended, in any process. The log keeps what the projection has not stored.
 *
 * @throws what following throws, such as `WAL_LOCKED` where another process does this
 */
export async function project<State>(
  directory: string,
  projection: Projection<State>,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const { name, types } = projection;
  await mkdir(folderIn(directory), { recursive: true });
  const stored = await projected(directory, projection);
  const state = stored?.state ?? projection.empty();
  let lsn = stored?.lsn ?? 0;
  const follower = Wal.follow(logIn(directory), stored === undefined ? 'first' : 'stored', {
    ...LOG_OPTIONS,
    name,
    types,
    batch: BATCH,
    signal,
  });
  try {
    for await (const events of follower) {
      lsn = applyAll(projection, state, events, lsn);
      await writeJson(fileOf(directory, name), { lsn, state } satisfies Projected<State>);
      await follower.acknowledge();
    }
  } catch (error) {
    if (!WalError.is(error, 'WAL_ABORTED')) throw error;
  } finally {
    await follower.return();
  }
}

/**
 * Makes a projection anew from all events, for example because it is made in another way now. Commands go on meanwhile.
 *
 * @param onProgress - called as the log is read
 */
export async function rebuilt<State>(
  directory: string,
  projection: Projection<State>,
  onProgress: (progress: WalProgress) => void = () => {},
): Promise<Projected<State>> {
  await using wal = await Wal.open(logIn(directory), { ...LOG_OPTIONS, recoveryMode: 'readonly' });
  const state = projection.empty();
  let lsn = 0;
  await wal.replay('first', (event) => (lsn = applyAll(projection, state, [event], lsn)), {
    types: projection.types,
    onProgress,
  });
  return { lsn, state };
}

/** Replaces what a projection has stored, while {@link project} does not run. */
export async function replaceProjected<State>(
  directory: string,
  { name }: Projection<State>,
  by: Projected<State>,
): Promise<void> {
  await mkdir(folderIn(directory), { recursive: true });
  await writeJson(fileOf(directory, name), by);
}

/** Applies the events that are not in the state yet. @returns the last event that is */
function applyAll<State>(
  projection: Projection<State>,
  state: State,
  events: readonly Pick<MappedEvent<OrderEvents>, 'lsn' | 'payload'>[],
  appliedLsn: number,
): number {
  let last = appliedLsn;
  for (const { lsn, payload } of events) {
    // What was stored and not acknowledged before a crash comes again.
    if (lsn <= last) continue;
    projection.apply(state, payload);
    last = lsn;
  }
  return last;
}
