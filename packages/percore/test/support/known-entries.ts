import { expect } from 'vitest';

/** What was promised of an entry: nothing, that it is durable, that its epoch is complete as well, or that a checkpoint has it. */
type Promised = 'nothing' | 'durable' | 'complete' | 'in a checkpoint';

/** What is known of the entries of a per-core log, by key, and of its epochs. */
export class KnownEntries {
  readonly #promised = new Map<string, Promised>();
  readonly #epochs = new Map<string, number>();
  readonly #dropped = new Set<string>();
  /** The highest epoch with a durable entry. No later one has a number up to it. */
  lastEpoch = 0;

  /** The keys of a core, or of all. */
  keys(coreId?: number): string[] {
    const all = [...this.#promised.keys()];
    return coreId === undefined ? all : all.filter((key) => key.startsWith(`${coreId}:`));
  }

  appended(key: string, epoch: number): void {
    this.#promised.set(key, 'nothing');
    this.#epochs.set(key, epoch);
  }

  promise(keys: readonly string[], promised: Exclude<Promised, 'nothing'>): void {
    for (const key of keys) {
      this.lastEpoch = Math.max(this.lastEpoch, this.#epochs.get(key) as number);
      const before = this.#promised.get(key);
      if (before === 'in a checkpoint' || (before === 'complete' && promised === 'durable')) continue;
      this.#promised.set(key, promised);
    }
  }

  /** A checkpoint was begun, and its outcome is not known. */
  mayBeInCheckpoint(keys: readonly string[]): void {
    for (const key of keys) this.#promised.set(key, 'in a checkpoint');
  }

  /**
   * A log was opened for writing with these entries: what was promised is there, and nothing that was dropped. What is not there is
   * dropped.
   *
   * @param leaves - incomplete epochs are dropped
   */
  opened(found: ReadonlySet<string>, leaves: boolean): void {
    for (const key of found) {
      expect(this.#dropped.has(key), `${key} was dropped`).toBe(false);
      expect(this.#promised.has(key), `${key} was appended`).toBe(true);
    }
    for (const [key, promised] of this.#promised) {
      if (found.has(key)) {
        if (leaves) this.promise([key], 'complete');
        continue;
      }
      const isDue = promised === 'complete' || (promised === 'durable' && !leaves);
      expect(isDue, `${key}, which is ${promised}, is missing`).toBe(false);
      this.#promised.delete(key);
      this.#dropped.add(key);
    }
  }

  /** An opening that drops incomplete epochs has failed, and may have decided to. */
  mayHaveDropped(): void {
    for (const [key, promised] of this.#promised) if (promised === 'durable') this.#promised.set(key, 'nothing');
  }
}
