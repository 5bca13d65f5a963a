import { once } from 'node:events';
import type { PerCoreWalConfig, PerCoreWalManager } from '@walstack/percore';
import type { Counts } from '../expected/snapshots.js';
import type { CoresApi, Job } from '../job.js';
import type { Report } from '../reports.js';
import { CoreAuthor } from './core-author.js';

/** The writers of the logs of cores, all at the same time. */
export interface Authors {
  /** Rejects when one of them fails. */
  readonly working: Promise<unknown>;
  /** How many puts each has made up to the end of an epoch that is complete; of `Infinity`, how many by now. */
  upTo(epoch: number): Promise<Counts>;
  /** Has them end, and closes the log. @returns how many puts each has made */
  close(): Promise<Counts>;
}

/** What a log has to be opened with for its authors. */
export function workersOf(job: Job, api: CoresApi): Pick<PerCoreWalConfig, 'workers'> {
  if (api === 'percore') return {};
  const module = new URL('./torture-core.js', import.meta.url).href;
  return {
    workers: {
      run: { module, export: 'write', options: job },
      configure: { module, export: 'configure', options: job.options },
    },
  };
}

/** @param found - how many puts there are already */
export function authorsOf(
  manager: PerCoreWalManager,
  job: Job,
  api: CoresApi,
  found: Counts,
  report: (report: Report) => void,
): Authors {
  return api === 'percore' ? new AuthorsHere(manager, job, found, report) : new AuthorsInWorkers(manager, found);
}

/** Authors in this thread. */
class AuthorsHere implements Authors {
  readonly #manager: PerCoreWalManager;
  readonly #authors: ReadonlyMap<number, CoreAuthor>;
  readonly #end = new AbortController();
  readonly working: Promise<unknown>;

  constructor(manager: PerCoreWalManager, job: Job, found: Counts, report: (report: Report) => void) {
    this.#manager = manager;
    const author = (core: number) => new CoreAuthor(manager.writer(core), job, found.get(core) ?? 0, report);
    this.#authors = new Map(manager.coreIds.map((core) => [core, author(core)]));
    this.working = Promise.all([...this.#authors.values()].map((each) => each.write(this.#end.signal)));
  }

  async upTo(epoch: number): Promise<Counts> {
    return new Map([...this.#authors].map(([core, author]) => [core, author.upTo(epoch)]));
  }

  async close(): Promise<Counts> {
    this.#end.abort();
    await this.working;
    await this.#manager.close();
    return this.upTo(Number.POSITIVE_INFINITY);
  }
}

/** Authors in threads of their own. */
class AuthorsInWorkers implements Authors {
  readonly #manager: PerCoreWalManager;
  readonly working: Promise<unknown>;

  constructor(manager: PerCoreWalManager, found: Counts) {
    this.#manager = manager;
    for (const core of manager.coreIds) manager.port(core).postMessage(found.get(core) ?? 0);
    this.working = Promise.all(manager.coreIds.map((core) => manager.finished(core)));
  }

  upTo(epoch: number): Promise<Counts> {
    return this.#ofEach(async (core) => {
      const port = this.#manager.port(core);
      const answered = once(port, 'message');
      port.postMessage(epoch);
      return (await answered)[0];
    });
  }

  async close(): Promise<Counts> {
    await this.#manager.close();
    return this.#ofEach((core) => this.#manager.finished(core));
  }

  /** What each of them says is a number of puts. */
  async #ofEach(ask: (core: number) => Promise<unknown>): Promise<Counts> {
    return new Map(
      await Promise.all(this.#manager.coreIds.map(async (core) => [core, (await ask(core)) as number] as const)),
    );
  }
}
