import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type EventMapWal, type MappedEvent, Wal } from '@walstack/wal';
import { readSnapshot, removeOtherSnapshots, writeSnapshot } from './snapshot.js';

/** The events of the log, by their type. */
type Events = {
  readonly 1: { readonly key: string; readonly value: unknown };
  readonly 2: { readonly key: string };
};

const PUT = 1;
const DELETE = 2;

/** What is put into a store: a value that JSON can hold. */
export type Value = string | number | boolean | null | readonly Value[] | { readonly [name: string]: Value };

export interface StoreOptions {
  /** A snapshot is made behind so many changes. Default 10,000. */
  readonly snapshotEvery?: number;
}

/**
 * A key-value store. The map in memory is what the log says: each change is committed first, and seen when it is durable.
 * A snapshot of the map replaces the beginning of the log.
 */
export class KeyValueStore {
  readonly #directory: string;
  readonly #wal: EventMapWal<Events>;
  readonly #map: Map<string, unknown>;
  readonly #snapshotEvery: number;
  /** The last event that is in the map. */
  #lsn: number;
  /** Settled when every change so far is in the map, or rejected. */
  #applied: Promise<unknown> = Promise.resolve();
  #snapshotting: Promise<void> | undefined;
  #snapshotFailure: unknown;

  private constructor(directory: string, wal: EventMapWal<Events>, map: Map<string, unknown>, snapshotEvery: number) {
    this.#directory = directory;
    this.#wal = wal;
    this.#map = map;
    this.#lsn = wal.lastLsn;
    this.#snapshotEvery = snapshotEvery;
  }

  /** Opens a store, or makes one: reads the snapshot that the checkpoint of the log names, and replays the log from there. */
  static async open(directory: string, { snapshotEvery = 10_000 }: StoreOptions = {}): Promise<KeyValueStore> {
    await mkdir(directory, { recursive: true });
    const wal = await Wal.open<Events>(join(directory, 'log'), { encoding: 'json' });
    try {
      const lsn = wal.checkpointLsn;
      const map = new Map(lsn === 0 ? [] : await readSnapshot(directory, lsn));
      await wal.replay('checkpoint', (event) => apply(map, event));
      // A crash may have come between a snapshot and its checkpoint.
      await removeOtherSnapshots(directory, lsn);
      return new KeyValueStore(directory, wal, map, snapshotEvery);
    } catch (error) {
      await wal.shutdown();
      throw error;
    }
  }

  get(key: string): Value | undefined {
    return this.#map.get(key) as Value | undefined;
  }

  get size(): number {
    return this.#map.size;
  }

  /** The keys, in the order in which they were first put. */
  keys(): IterableIterator<string> {
    return this.#map.keys();
  }

  /** Puts a value under a key; durable when it resolves, and seen by `get` from then on. */
  async put(key: string, value: Value): Promise<void> {
    await this.#apply(this.#wal.commit({ key, value }, { type: PUT }), () => this.#map.set(key, value));
  }

  /** Puts all of these, or after a crash none. */
  async putAll(entries: Iterable<readonly [key: string, value: Value]>): Promise<void> {
    const all = [...entries];
    if (all.length === 0) return;
    const batch = this.#wal.batch();
    for (const [key, value] of all) batch.add({ key, value }, { type: PUT });
    await this.#apply(this.#wal.commitBatch(batch), () => {
      for (const [key, value] of all) this.#map.set(key, value);
    });
  }

  /** Removes a key; durable when it resolves. */
  async delete(key: string): Promise<void> {
    await this.#apply(this.#wal.commit({ key }, { type: DELETE }), () => this.#map.delete(key));
  }

  /** Writes the map to a file, and removes what it contains from the log. */
  async snapshot(): Promise<void> {
    this.#snapshotting ??= this.#makeSnapshot().finally(() => {
      this.#snapshotting = undefined;
    });
    await this.#snapshotting;
  }

  /** Closes the store. @throws what ended a snapshot in the background; nothing is lost then, only the log is longer */
  async close(): Promise<void> {
    await this.#snapshotting?.catch(() => {});
    await this.#wal.shutdown();
    if (this.#snapshotFailure !== undefined) throw this.#snapshotFailure;
  }

  /**
   * Makes a change behind its commit, and behind the changes of all earlier calls: the log has them in the order of the calls,
   * while the promises of a batch and of a single commit settle in any order.
   */
  async #apply(committed: Promise<number>, change: () => void): Promise<void> {
    const earlier = this.#applied;
    const applied = earlier.then(() => committed).then((lsn) => this.#change(lsn, change));
    this.#applied = Promise.allSettled([committed, applied]);
    await applied;
  }

  #change(lsn: number, change: () => void): void {
    change();
    this.#lsn = lsn;
    if (lsn - this.#wal.checkpointLsn < this.#snapshotEvery || this.#snapshotting !== undefined) return;
    this.snapshot().catch((error: unknown) => {
      this.#snapshotFailure = error;
    });
  }

  async #makeSnapshot(): Promise<void> {
    const lsn = this.#lsn;
    if (lsn === this.#wal.checkpointLsn) return;
    // A copy of the map at this LSN: changes that come meanwhile are behind it in the log.
    await writeSnapshot(this.#directory, lsn, [...this.#map]);
    // In this order: a crash in between leaves the earlier snapshot, or both, and the log behind it.
    await this.#wal.checkpoint(lsn);
    await this.#wal.truncateBefore(lsn + 1);
    await removeOtherSnapshots(this.#directory, lsn);
  }
}

function apply(map: Map<string, unknown>, event: MappedEvent<Events>): void {
  if (event.type === PUT) map.set(event.payload.key, event.payload.value);
  else map.delete(event.payload.key);
}
