import { mkdir } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Wal, type WalOptions } from '@walstack/wal';
import type { FastifyInstance } from 'fastify';
import type { IngestEvent } from './event.js';
import { Sampler } from './sampler.js';
import { makeServer, type Parts } from './server.js';
import { Totals } from './totals.js';
import { unusedConnections } from './unused-connections.js';

export interface IngestOptions {
  /** Where the log and the totals are. */
  readonly directory: string;
  /** How often the log is sampled, in milliseconds. Default 1000. */
  readonly sampleMs?: number;
  /** How long a stream is silent before it says that it is still there, in milliseconds. Default 15,000. */
  readonly heartbeatMs?: number;
  /** The options of the log. */
  readonly log?: Omit<WalOptions, 'encoding' | 'schema'>;
  /** Where the log is, if not in the directory. */
  readonly logDirectory?: string;
}

/** How often unused connections are closed while the server is ended, in milliseconds. */
const UNUSED_MS = 20;

/** The log, what follows it, and the server in front. */
export class Ingest {
  readonly wal: Wal<IngestEvent>;
  readonly app: FastifyInstance;
  readonly #totals: Totals;
  readonly #sampler: Sampler;
  readonly #closeUnused: () => void;
  #closing: Promise<void> | undefined;

  private constructor(parts: Parts) {
    this.wal = parts.wal;
    this.#totals = parts.totals;
    this.#sampler = parts.sampler;
    this.app = makeServer(parts);
    this.#closeUnused = unusedConnections(this.app.server);
  }

  static async open(options: IngestOptions): Promise<Ingest> {
    const { directory, logDirectory = join(directory, 'log'), sampleMs = 1000, heartbeatMs = 15_000, log } = options;
    await mkdir(directory, { recursive: true });
    const wal = await Wal.open<IngestEvent>(logDirectory, { ...log, encoding: 'json' });
    try {
      const totals = await Totals.start(wal, join(directory, 'totals.json'));
      const sampler = await Sampler.start(wal, sampleMs);
      return new Ingest({ wal, totals, sampler, heartbeatMs });
    } catch (error) {
      await wal.shutdown();
      throw error;
    }
  }

  /** Listens. @returns the port, which is another one than was asked for if that was 0 */
  async listen(port: number, host = '127.0.0.1'): Promise<number> {
    await this.app.listen({ port, host });
    return (this.app.server.address() as AddressInfo).port;
  }

  /** Answers what was posted, refuses what comes, ends the streams, and closes the log: everything is durable on return. */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    // Connections become unused one by one, when what was asked on them is answered.
    const closing = setInterval(this.#closeUnused, UNUSED_MS);
    await this.app.close().finally(() => clearInterval(closing));
    this.#sampler.stop();
    await this.#totals.stop();
    await this.wal.shutdown();
  }
}
