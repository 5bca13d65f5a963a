import { readFile } from 'node:fs/promises';
import { decodeManifest, type Manifest, manifestPath } from '@walstack/percore/internal';
import { inSession, newSession, partId } from '../messages/message-id.js';
import { split } from '../messages/parts.js';
import type { StreamSettings } from '../options.js';
import { ifThere } from '../restore/segment-files.js';
import { type CreateOptions, LogStream } from '../stream/log-stream.js';

/** A manifest, and its file. */
export interface ManifestFile {
  readonly manifest: Manifest;
  readonly bytes: Uint8Array;
}

/** The manifest in the directory of a per-core log; `undefined` while there is none. @throws `WAL_CORRUPT` */
export async function readManifestFile(directory: string): Promise<ManifestFile | undefined> {
  const path = manifestPath(directory);
  const bytes = await ifThere(readFile(path));
  return bytes === undefined ? undefined : { manifest: decodeManifest(bytes, path), bytes };
}

/** The manifests in a stream, from the first one to the last. @throws `WAL_CORRUPT` */
export async function* manifestsIn(stream: LogStream): AsyncGenerator<ManifestFile, void, undefined> {
  const { state } = await stream.info();
  const last = state.messages === 0 ? 0 : state.last_seq;
  for await (const { bytes, where } of stream.messages(Math.max(1, state.first_seq), last)) {
    yield { manifest: decodeManifest(bytes, where), bytes };
  }
}

/** The stream of the manifest of a per-core log, by one connection: each message is a manifest, the last one counts. */
export class ManifestStream {
  readonly #stream: LogStream;
  readonly #session = newSession();
  #sequence: number;
  #last: Uint8Array | undefined;

  private constructor(stream: LogStream, sequence: number, last: Uint8Array | undefined) {
    this.#stream = stream;
    this.#sequence = sequence;
    this.#last = last;
  }

  /** @throws what `LogStream.open` throws */
  static async open(settings: StreamSettings, create: CreateOptions | undefined): Promise<ManifestStream> {
    const stream = await LogStream.open(settings, create);
    try {
      const { sequence, bytes } = await stream.last();
      return new ManifestStream(stream, sequence, bytes);
    } catch (error) {
      await stream.close();
      throw error;
    }
  }

  /** Whether a manifest is the last one. */
  has(bytes: Uint8Array): boolean {
    return this.#last !== undefined && Buffer.compare(this.#last, bytes) === 0;
  }

  /** Publishes a manifest behind the last one. @throws `WAL_STATE` when another one is the last, and what `LogStream.publish` throws */
  async publish(bytes: Uint8Array): Promise<void> {
    const parts = split(bytes, this.#stream.contentBytesMax);
    for (const [index, part] of parts.entries()) {
      const { length: of } = parts;
      const number = index + 1;
      const id = inSession(partId(`manifest:${this.#sequence}`, number, of), this.#session);
      const message = { id, bytes: part, part: of === 1 ? undefined : { number, of } };
      this.#sequence = await this.#stream.publish(message, { after: this.#sequence, ahead: 0 });
    }
    this.#last = bytes;
  }

  /** Settles when the connection is lost or closed. */
  closed(): Promise<unknown> {
    return this.#stream.closed();
  }

  close(): Promise<void> {
    return this.#stream.close();
  }
}
