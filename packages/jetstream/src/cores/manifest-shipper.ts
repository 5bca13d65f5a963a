import { setTimeout as delay } from 'node:timers/promises';
import { WalError } from '@walstack/codec';
import type { Manifest } from '@walstack/percore/internal';
import type { StreamSettings } from '../options.js';
import { Retries } from '../ship/retries.js';
import type { ShipSettings } from '../ship/ship-options.js';
import { type ManifestFile, ManifestStream, readManifestFile } from './manifest-stream.js';

/** How often the file is looked at, in milliseconds. */
const LOOK_MS = 100;

/**
 * Publishes the manifest of a per-core log whenever it has changed, once the logs of all cores are replicated as far as it says:
 * what is restored of a stream with a manifest has everything that the manifest names.
 */
export class ManifestShipper {
  readonly #directory: string;
  readonly #stream: StreamSettings;
  readonly #create: ShipSettings['create'];
  readonly #covered: (manifest: Manifest) => Promise<void>;
  readonly #closing = new AbortController();
  readonly #retries: Retries;
  readonly #stored: () => void;
  #opened: ManifestStream | undefined;
  #published = 0;
  #lastError: Error | undefined;

  /**
   * @param covered - waits until the logs of all cores are replicated as far as a manifest says
   * @param stored - called when the manifest of the directory is the last one of the stream
   */
  constructor(
    directory: string,
    stream: StreamSettings,
    { create, retryMs }: Pick<ShipSettings, 'create' | 'retryMs'>,
    covered: (manifest: Manifest) => Promise<void>,
    stored: () => void,
  ) {
    this.#directory = directory;
    this.#stream = stream;
    this.#create = create;
    this.#covered = covered;
    this.#stored = stored;
    this.#retries = new Retries(retryMs, this.#closing.signal);
  }

  /** Manifests that were published. */
  get published(): number {
    return this.#published;
  }

  /** Why the last attempt has failed; `undefined` since one has not. */
  get lastError(): Error | undefined {
    return this.#lastError;
  }

  /** Runs until it is closed. @throws when going on would be wrong: the file, or the stream, is damaged */
  async run(): Promise<void> {
    try {
      while (!this.#closing.signal.aborted) await this.#attempt();
    } finally {
      await this.#opened?.close();
    }
  }

  close(): void {
    this.#closing.abort();
  }

  async #attempt(): Promise<void> {
    const file = await readManifestFile(this.#directory);
    if (file !== undefined) {
      try {
        await this.#ship(file);
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        await this.#opened?.close();
        this.#opened = undefined;
        if (WalError.is(error, 'WAL_CORRUPT') || WalError.is(error, 'WAL_FENCED')) throw error;
        this.#lastError = error as Error;
        return await this.#retries.wait();
      }
    }
    await delay(LOOK_MS, undefined, { signal: this.#closing.signal }).catch(() => {});
  }

  async #ship({ manifest, bytes }: ManifestFile): Promise<void> {
    this.#opened ??= await this.#open();
    if (!this.#opened.has(bytes)) {
      await this.#covered(manifest);
      if (this.#closing.signal.aborted) return;
      await this.#opened.publish(bytes);
      this.#published++;
    }
    this.#lastError = undefined;
    this.#retries.reset();
    this.#stored();
  }

  async #open(): Promise<ManifestStream> {
    const opened = await ManifestStream.open(this.#stream, this.#create);
    const lost = (): void => {
      if (this.#opened === opened) this.#opened = undefined;
    };
    opened.closed().then(lost, lost);
    return opened;
  }
}
