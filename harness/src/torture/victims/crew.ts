import type { Variant } from '../variant.js';
import { ProcessVictim } from './process-victim.js';
import type { Victim } from './victim.js';
import { WorkerVictim } from './worker-victim.js';

/** The programs of victims. */
export interface Entries {
  readonly child: URL;
  readonly worker: URL;
}

/** The victims that come next. One process is always being started while another one runs. */
export class Crew implements AsyncDisposable {
  readonly #entries: Entries;
  #ready: ProcessVictim | undefined;

  constructor(entries: Entries) {
    this.#entries = entries;
  }

  next({ victims }: Variant): Victim {
    if (victims === 'workers') return new WorkerVictim(this.#entries.worker);
    const victim = this.#ready ?? new ProcessVictim(this.#entries.child);
    this.#ready = new ProcessVictim(this.#entries.child);
    return victim;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ready?.kill();
  }
}
