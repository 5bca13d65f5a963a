import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { StorageIo } from '@walstack/storage-io';
import { Wal, type WalOptions } from '@walstack/wal';
import type { WriteSettings } from './durable-writes.js';
import { type Latencies, latenciesOf } from './latencies.js';

type Preset = NonNullable<WalOptions['preset']>;

/** Commits of a log, measured. */
export interface Commits {
  readonly backend: string;
  readonly preset: Preset;
  /** So many callers commit at the same time, each one after another. */
  readonly callers: number;
  readonly perSecond: number;
  readonly latencies: Latencies;
}

const PRESETS: readonly Preset[] = ['durable', 'low-latency'];
const CALLERS: readonly number[] = [1, 64];
const COMMITS_MAX = 100_000;

/** A number of callers of a log with a preset, measured in several rounds. */
export class CommitCase {
  readonly #io: StorageIo;
  readonly #preset: Preset;
  readonly #callers: number;
  readonly #durations: number[] = [];
  #seconds = 0;

  constructor(io: StorageIo, preset: Preset, callers: number) {
    this.#io = io;
    this.#preset = preset;
    this.#callers = callers;
  }

  get result(): Commits {
    return {
      backend: this.#io.name,
      preset: this.#preset,
      callers: this.#callers,
      perSecond: Math.round(this.#durations.length / this.#seconds),
      latencies: latenciesOf(this.#durations),
    };
  }

  /** Measures one round, in a log of its own. @throws what the log throws, and the reason of the signal */
  async round({ directory, bytes, roundMs, signal }: WriteSettings): Promise<void> {
    const path = join(directory, 'log');
    const wal = await Wal.open(path, { io: this.#io, preset: this.#preset });
    const payload = new Uint8Array(bytes).fill(7);
    try {
      // The first commit makes the file.
      await wal.commit(payload);
      const begun = performance.now();
      const until = begun + roundMs;
      const limit = this.#durations.length + COMMITS_MAX;
      const caller = async (): Promise<void> => {
        do {
          signal.throwIfAborted();
          const from = performance.now();
          await wal.commit(payload);
          this.#durations.push(performance.now() - from);
        } while (this.#durations.length < limit && performance.now() < until);
      };
      await Promise.all(Array.from({ length: this.#callers }, caller));
      this.#seconds += (performance.now() - begun) / 1000;
    } finally {
      await wal.shutdown();
      rmSync(path, { recursive: true, force: true });
    }
  }
}

/** What is measured of logs on a backend. */
export const commitCases = (io: StorageIo): CommitCase[] =>
  PRESETS.flatMap((preset) => CALLERS.map((callers) => new CommitCase(io, preset, callers)));
