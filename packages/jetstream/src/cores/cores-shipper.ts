import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isCoreDirectoryName, type Lsn, parseSegmentFileName, WalError } from '@walstack/codec';
import { checkOptions, checkPath, notConstructible } from '@walstack/codec/internal';
import type { CorePlace } from '@walstack/percore';
import { coreDirectory, type Manifest } from '@walstack/percore/internal';
import { callListener, checkSignal } from '@walstack/storage-io/internal';
import { LogShipper, type ShipStats } from '../ship/log-shipper.js';
import { ReplicatedWaiters } from '../ship/replicated-waiters.js';
import { checkShip, SHIP_OPTIONS, type ShipOptions, type ShipState } from '../ship/ship-options.js';
import { CORES_STREAM_OPTIONS, type CoresStreamOptions, coreOptions, manifestSettings } from './cores-options.js';
import { ManifestShipper } from './manifest-shipper.js';

/** How the logs of all cores are shipped: each of them as by {@link ShipOptions}. */
export interface CoresShipOptions
  extends CoresStreamOptions,
    Omit<ShipOptions, keyof CoresStreamOptions | 'core' | 'stream' | 'subject'> {}

/** Counters and positions of the shippers of all cores. A frozen snapshot. */
export interface CoresShipStats {
  /** That of the core that is furthest from shipping. */
  readonly state: ShipState;
  /** In the order of their ids. */
  readonly cores: readonly (ShipStats & { readonly coreId: number })[];
  /** Manifests that this shipper has published, and why the last attempt has failed. */
  readonly manifest: { readonly published: number; readonly lastError: Error | undefined };
}

/** How often it is looked for the logs of further cores, in milliseconds. */
const LOOK_MS = 100;

/** From the one that says most about the whole. */
const STATES: readonly ShipState[] = ['failed', 'closed', 'waiting', 'connecting', 'shipping'];

/**
 * Ships the logs of all cores of a per-core log, each to a stream of its own, and the manifest to one more. It reads the directory:
 * the cores may be written in any threads, and by another process.
 *
 * ```ts
 * const shipper = CoresShipper.start('data/accounts', { connection: { servers: 'nats://localhost' }, log: 'accounts', create: true });
 * await shipper.replicated(await manager.syncAll()); // everything that was durable on any core
 * ```
 */
export class CoresShipper {
  readonly #directory: string;
  readonly #options: CoresShipOptions;
  readonly #cores = new Map<number, LogShipper>();
  readonly #manifest: ManifestShipper;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  /** Resolves when the stream has a manifest of the log. */
  readonly #manifestWaiters = new ReplicatedWaiters(() => undefined);
  #hasManifest = false;
  #failure: Error | undefined;
  #state: ShipState = 'connecting';

  private constructor(directory: string, options: CoresShipOptions) {
    if (options === undefined) throw notConstructible('CoresShipper', 'use CoresShipper.start(directory, options)');
    this.#directory = directory;
    this.#options = options;
    this.#manifest = new ManifestShipper(
      directory,
      manifestSettings(options),
      checkShip(options),
      (manifest) => this.#covered(manifest),
      () => this.#manifestStored(),
    );
    this.#running = this.#run();
  }

  /**
   * Begins to ship, also cores that are added later.
   *
   * @param directory - that of a per-core log
   * @throws `TypeError`, `RangeError` for wrong options
   */
  static start(directory: string | URL, options: CoresShipOptions): CoresShipper {
    const path = checkPath('directory', directory);
    checkShip(checkOptions('options', options, [...CORES_STREAM_OPTIONS, ...SHIP_OPTIONS]));
    return new CoresShipper(path, options);
  }

  /** What it does: the state of the core that is furthest from shipping. */
  get state(): ShipState {
    if (this.#failure !== undefined) return 'failed';
    const states = new Set([...this.#cores.values()].map(({ state }) => state));
    return STATES.find((state) => states.has(state)) ?? (this.#closing.signal.aborted ? 'closed' : 'connecting');
  }

  /** Why nothing more is published; `undefined` while something may be. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /**
   * Waits until the logs of some cores are stored by a quorum of the servers up to an LSN each, and the manifest once.
   *
   * @param places - what `syncAll()` or `positions()` of a manager returns: everything that is durable is waited for
   * @param options - `signal`: ends the waiting and nothing else
   * @throws `WAL_FENCED`, `WAL_CLOSED`, `WAL_ABORTED`, why a log cannot be read
   */
  async replicated(
    places: readonly Pick<CorePlace, 'coreId' | 'durableLsn'>[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const { signal } = checkOptions('options', options, ['signal']);
    checkSignal(signal);
    // All of them before any waits: a call that is rejected here leaves none behind.
    const shippers = places.map(({ coreId, durableLsn }) => ({ shipper: this.#shipperOf(coreId), durableLsn }));
    const waiting = shippers.map(({ shipper, durableLsn }) => shipper.replicated(durableLsn, options));
    try {
      await Promise.all(waiting);
    } catch (error) {
      // The failure of one core closes the others.
      throw WalError.is(error, 'WAL_CLOSED') ? (this.#failure ?? error) : error;
    }
    if (this.#hasManifest) return;
    this.#throwIfOver();
    await this.#manifestWaiters.wait(1, signal);
  }

  /** Counters and positions. */
  stats(): CoresShipStats {
    const cores = [...this.#cores].sort(([one], [other]) => one - other);
    const { published, lastError } = this.#manifest;
    return Object.freeze({
      state: this.state,
      cores: Object.freeze(cores.map(([coreId, shipper]) => Object.freeze({ coreId, ...shipper.stats() }))),
      manifest: Object.freeze({ published, lastError }),
    });
  }

  /** Waits until it is closed. @throws why it has failed */
  async ended(): Promise<void> {
    await this.#running;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Ends the shipping, with what is on its way. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#manifest.close();
    await Promise.all([...this.#cores.values()].map((shipper) => shipper.close()));
    await this.#running;
  }

  /** Ends the shipping: {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const looking = this.#look().catch((error: unknown) => this.#fail(error));
    const publishing = this.#manifest.run().catch((error: unknown) => this.#fail(error));
    await Promise.all([looking, publishing]);
    await Promise.all([...this.#cores.values()].map((shipper) => shipper.close()));
    this.#manifestWaiters.fail(this.#failure ?? this.#closed());
    this.#report();
  }

  /** Starts to ship the log of each core whose directory there is. */
  async #look(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      for (const name of namesIn(this.#directory).filter(isCoreDirectoryName)) {
        const coreId = Number(name.slice('core-'.length));
        if (!this.#cores.has(coreId) && this.#hasLog(coreId)) this.#shipperOf(coreId);
      }
      await delay(LOOK_MS, undefined, { signal: this.#closing.signal }).catch(() => {});
    }
  }

  #hasLog(coreId: number): boolean {
    return namesIn(coreDirectory(this.#directory, coreId)).some((name) => parseSegmentFileName(name) !== undefined);
  }

  #shipperOf(coreId: number): LogShipper {
    const known = this.#cores.get(coreId);
    if (known !== undefined) return known;
    this.#throwIfOver();
    const { connection: _, log: __, timeoutMs: ___, onState: ____, ...options } = this.#options;
    const shipper = LogShipper.start(coreDirectory(this.#directory, coreId), {
      ...options,
      ...coreOptions(this.#options, coreId),
      onState: () => this.#report(),
    });
    this.#cores.set(coreId, shipper);
    shipper.ended().catch((error: unknown) => this.#fail(error));
    return shipper;
  }

  /** Waits until the logs of all cores are replicated as far as a manifest says. */
  async #covered({ cores, checkpoint }: Manifest): Promise<void> {
    const lsnOf = (coreId: number): Lsn => checkpoint?.cores.find((place) => place.coreId === coreId)?.lsn ?? 1;
    await Promise.all(
      cores.map((coreId) =>
        this.#shipperOf(coreId).replicated(Math.max(1, lsnOf(coreId)), { signal: this.#closing.signal }),
      ),
    );
  }

  #manifestStored(): void {
    this.#hasManifest = true;
    this.#manifestWaiters.reached(1, 1);
  }

  /** One core that cannot go on ends all: what is restored would not be one log. */
  #fail(error: unknown): void {
    if (this.#closing.signal.aborted && WalError.is(error, 'WAL_CLOSED')) return;
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    this.#closing.abort();
    this.#manifest.close();
    this.#report();
  }

  #report(): void {
    const { state } = this;
    if (state === this.#state) return;
    this.#state = state;
    const { onState } = this.#options;
    if (onState === undefined) return;
    const error = this.#failure ?? this.stats().cores.find((core) => core.state === state)?.lastError;
    callListener(() => onState(state, error), undefined);
  }

  #throwIfOver(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing.signal.aborted) throw this.#closed();
  }

  #closed(): WalError {
    const what = `shipping the logs of the cores in ${this.#directory} was closed`;
    return new WalError('WAL_CLOSED', what, { path: this.#directory, state: 'closed' });
  }
}

/** The names in a directory; none when it is missing. */
function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
