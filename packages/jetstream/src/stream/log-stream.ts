import {
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  type PubAck,
  RetentionPolicy,
  StorageType,
  type StoredMsg,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import { headers, type NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { type Lsn, SEGMENT_HEADER_BYTES, WalError } from '@walstack/codec';
import type { StoredFrame } from '@walstack/mmap-reader/internal';
import { aborted, onAbort, unlessAborted } from '@walstack/storage-io/internal';
import { damaged, decodeSegmentMessage, isSegmentMessage, recordFrameIn } from '../messages/message.js';
import { logIdIn } from '../messages/message-id.js';
import { HEADERS_BYTES, PART_HEADER, PartJoiner, type PartNumber, parsePart } from '../messages/parts.js';
import { AHEAD_HEADER, type Published, publishedBy, SinglePlaces } from '../messages/places.js';
import type { StreamSettings } from '../options.js';
import { askLeader } from './elections.js';
import { streamError } from './stream-errors.js';
import { type StreamMessage, streamMessages } from './stream-messages.js';

/** How a stream is created where it is missing. */
export type CreateOptions = Partial<Omit<StreamConfig, 'name' | 'subjects' | 'retention'>>;

/** What a stream ends with. */
export interface StreamEnd {
  /** The sequence of the last message that was ever stored; 0 when there was none. */
  readonly sequence: number;
  /** The log id, as text, of the messages; `undefined` when there is no message. */
  readonly logId: string | undefined;
  /** The last record; `undefined` when there is none. */
  readonly record: { readonly lsn: Lsn; readonly frame: StoredFrame } | undefined;
  /** The header of the segment behind that record, when it is the last message. */
  readonly segment: Uint8Array | undefined;
  /** The first LSN of that segment, where the log was cut before that record: then it goes on there. */
  readonly cutTo: Lsn | undefined;
}

/** One message of a log: its identity, its bytes, and which part it is. */
export interface Outgoing {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly part: PartNumber | undefined;
}

/** Where a message belongs. */
export interface Place {
  /** The sequence that the stream has to end with. */
  readonly after: number;
  /** How many messages up to that one are on their way. */
  readonly ahead: number;
}

/** The stream of a log, by one connection, which is not opened again when it is lost. */
export class LogStream {
  readonly #connection: NatsConnection;
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #settings: StreamSettings;
  readonly #stopListening: () => void;
  #maxMessageBytes: number;

  private constructor(
    connection: NatsConnection,
    manager: JetStreamManager,
    settings: StreamSettings,
    stopListening: () => void,
  ) {
    this.#connection = connection;
    this.#client = jetstream(connection, { timeout: settings.timeoutMs });
    this.#manager = manager;
    this.#settings = settings;
    this.#maxMessageBytes = connection.info?.max_payload ?? 1024 * 1024;
    this.#stopListening = stopListening;
  }

  /** Connects, and finds the stream. @throws `WAL_IO_FAILED`, `WAL_TIMEOUT`, `WAL_NOT_FOUND`, `WAL_UNSUPPORTED` */
  static async open(settings: StreamSettings, create?: CreateOptions): Promise<LogStream> {
    const { stream, timeoutMs } = settings;
    const connection = await connected(settings);
    const stopListening = closingWith(connection, settings.signal);
    try {
      const manager = await jetstreamManager(connection, { timeout: timeoutMs, checkAPI: false });
      const opened = new LogStream(connection, manager, settings, stopListening);
      const info = (await opened.#find()) ?? (create === undefined ? undefined : await opened.#create(create));
      opened.#limitBy(info ?? (await opened.info()));
      return opened;
    } catch (error) {
      stopListening();
      await closeQuietly(connection);
      throw streamError(error, stream, 'opening');
    }
  }

  /** The name of the stream. */
  get name(): string {
    return this.#settings.stream;
  }

  /** The longest content of a message. */
  get contentBytesMax(): number {
    return this.#maxMessageBytes - HEADERS_BYTES;
  }

  /** Settles when the connection is lost or closed. */
  closed(): Promise<unknown> {
    return this.#connection.closed();
  }

  /** The state of the stream. */
  info(): Promise<StreamInfo> {
    return askLeader(this.#settings, 'reading the state', () => this.#manager.streams.info(this.name));
  }

  /** What the stream ends with. @throws `WAL_CORRUPT` when it has messages that are none of a log */
  async end(): Promise<StreamEnd> {
    const { state } = await this.info();
    let segment: Uint8Array | undefined;
    let logId: string | undefined;
    const joiner = new PartJoiner();
    const places = new SinglePlaces((sequence) => this.#published(sequence));
    for (let sequence = state.last_seq; sequence >= Math.max(state.first_seq, 1) && state.messages > 0; sequence--) {
      const message = await this.#stored(sequence);
      const where = this.#where(sequence);
      if (message === undefined) {
        // A limit of the stream may have dropped it meanwhile.
        if ((await this.info()).state.first_seq > sequence) break;
        throw damaged(where, 'deleted', 'it was deleted: what the stream ends with is not known');
      }
      const id = message.header.get('Nats-Msg-Id');
      if (logIdIn(id) === undefined) throw damaged(where, 'foreign', 'it is no message of a log');
      if (!(await places.isInPlace(publishedBy(sequence, message.header)))) continue;
      logId ??= logIdIn(id);
      const part = message.header.get(PART_HEADER);
      if (part === '' && isSegmentMessage(message.data)) {
        segment ??= message.data;
        continue;
      }
      const whole = part === '' ? message.data : await this.#joined(joiner, parsePart(part, where), sequence);
      if (whole === undefined) continue;
      const record = recordFrameIn(whole, where);
      if (record === undefined) continue;
      const begun = segment === undefined ? undefined : decodeSegmentMessage(segment, where).header.firstLsn;
      const cutTo = begun !== undefined && begun <= record.lsn ? begun : undefined;
      return { sequence: state.last_seq, logId, record, segment, cutTo };
    }
    return { sequence: state.last_seq, logId, record: undefined, segment, cutTo: undefined };
  }

  /** The last message, its parts joined; without bytes when there is none, or its last part is missing. */
  async last(): Promise<{ readonly sequence: number; readonly bytes: Uint8Array | undefined }> {
    const { state } = await this.info();
    const sequence = state.last_seq;
    const message = state.messages === 0 ? undefined : await this.#stored(sequence);
    if (message === undefined) return { sequence, bytes: undefined };
    const part = message.header.get(PART_HEADER);
    if (part === '') return { sequence, bytes: message.data };
    const number = parsePart(part, this.#where(sequence));
    return { sequence, bytes: await this.#joined(new PartJoiner(), number, sequence) };
  }

  /** The names of the streams that store any of the messages with a subject, which may have wildcards. */
  static async names(settings: StreamSettings, subject: string): Promise<readonly string[]> {
    const connection = await connected(settings);
    const stopListening = closingWith(connection, settings.signal);
    try {
      const manager = await jetstreamManager(connection, { timeout: settings.timeoutMs, checkAPI: false });
      return await askLeader({ ...settings, stream: subject }, 'listing', async () => {
        const names: string[] = [];
        for await (const name of manager.streams.names(subject)) names.push(name);
        return names;
      });
    } catch (error) {
      throw streamError(error, subject, 'listing');
    } finally {
      stopListening();
      await closeQuietly(connection);
    }
  }

  /** How a message was published; `undefined` when it is not there. */
  async #published(sequence: number): Promise<Published | undefined> {
    const message = await this.#stored(sequence);
    return message === undefined ? undefined : publishedBy(sequence, message.header);
  }

  /** The parts before the last one, and that; `undefined` for any other part: its message was never completed. */
  async #joined(joiner: PartJoiner, { number, of }: PartNumber, last: number): Promise<Uint8Array | undefined> {
    if (number < of) return undefined;
    let whole: Uint8Array | undefined;
    for (let each = 1; each <= of; each++) {
      const sequence = last - of + each;
      const message = await this.#stored(sequence);
      if (message === undefined) return undefined;
      whole = joiner.add({ number: each, of }, message.data, this.#where(sequence));
    }
    return whole;
  }

  /** The bytes of a message, or of the last part of one; `undefined` when it is not there. */
  async bytesAt(sequence: number): Promise<Uint8Array | undefined> {
    return (await this.#stored(sequence))?.data;
  }

  /** The messages from a sequence on, up to another one, or `Infinity`. */
  messages(from: number, to: number): AsyncGenerator<StreamMessage, void, undefined> {
    return streamMessages(this.#client, this.name, from, to, this.#settings.timeoutMs);
  }

  /**
   * Publishes a message behind another one.
   *
   * @returns the sequence that it got
   * @throws `WAL_STATE` when another message is the last one, and what {@link open} throws; `WAL_NO_SPACE`
   */
  async publish({ id, bytes, part }: Outgoing, { after, ahead }: Place): Promise<number> {
    const { subject, timeoutMs, stream } = this.#settings;
    const expect = { lastSequence: after, streamName: stream };
    const more = headers();
    if (part !== undefined) more.set(PART_HEADER, `${part.number}/${part.of}`);
    if (ahead > 0) more.set(AHEAD_HEADER, `${ahead}`);
    let ack: PubAck;
    try {
      ack = await this.#client.publish(subject, bytes, { msgID: id, expect, timeout: timeoutMs, headers: more });
    } catch (error) {
      throw streamError(error, stream, 'publishing');
    }
    return ack.seq;
  }

  /** @throws `WAL_ABORTED` when the signal is aborted */
  throwIfAborted(): void {
    const { signal } = this.#settings;
    if (signal?.aborted === true) throw abortedAt(this.name, signal);
  }

  /** Closes the connection. */
  async close(): Promise<void> {
    this.#stopListening();
    await closeQuietly(this.#connection);
  }

  #where(sequence: number): string {
    return `message ${sequence} of the stream ${this.name}`;
  }

  async #stored(sequence: number): Promise<StoredMsg | undefined> {
    const ask = () => this.#manager.streams.getMessage(this.name, { seq: sequence });
    return (await askLeader(this.#settings, 'reading', ask)) ?? undefined;
  }

  async #find(): Promise<StreamInfo | undefined> {
    try {
      return await askLeader(this.#settings, 'finding', () => this.#manager.streams.info(this.name));
    } catch (error) {
      if (WalError.is(error, 'WAL_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  #create(create: CreateOptions): Promise<StreamInfo> {
    const { stream, subject } = this.#settings;
    const config = {
      storage: StorageType.File,
      // A full stream refuses what comes, and does not drop what it has.
      discard: DiscardPolicy.New,
      ...create,
      retention: RetentionPolicy.Limits,
      name: stream,
      subjects: [subject],
    };
    return askLeader(this.#settings, 'creating', () => this.#manager.streams.add(config));
  }

  /** @throws `WAL_TOO_LARGE` when not even the header of a segment has room */
  #limitBy({ config }: StreamInfo): void {
    if (config.max_msg_size > 0) this.#maxMessageBytes = Math.min(this.#maxMessageBytes, config.max_msg_size);
    if (this.contentBytesMax >= SEGMENT_HEADER_BYTES) return;
    const limit = this.#maxMessageBytes;
    const least = HEADERS_BYTES + SEGMENT_HEADER_BYTES;
    const what = `the stream ${this.name} stores messages of at most ${limit} bytes, ${least} are needed`;
    throw new WalError('WAL_TOO_LARGE', `${what}: raise max_msg_size of the stream, or max_payload of the servers`, {
      path: this.name,
      limit,
      reason: 'message',
    });
  }
}

async function connected(settings: StreamSettings): Promise<NatsConnection> {
  const { stream, signal } = settings;
  try {
    return await unlessAborted(connecting(settings), signal, (ended) => abortedAt(stream, ended), closeQuietly);
  } catch (error) {
    throw streamError(error, stream, 'connecting to the servers');
  }
}

async function connecting({ connection, stream, timeoutMs }: StreamSettings): Promise<NatsConnection> {
  if (typeof connection === 'function') return await inTime(connection(), stream, timeoutMs);
  // Without it, each message costs the stack of two errors that are never thrown.
  return await connect({ timeout: timeoutMs, noAsyncTraces: true, ...connection, reconnect: false });
}

/** Closes a connection; one that cannot be closed is lost already. */
const closeQuietly = (connection: NatsConnection): Promise<void> => connection.close().catch(() => {});

/** Closes a connection when a signal is aborted. @returns a function that ends the listening */
function closingWith(connection: NatsConnection, signal: AbortSignal | undefined): () => void {
  if (signal === undefined) return () => {};
  const close = (): void => void closeQuietly(connection);
  if (!signal.aborted) return onAbort(signal, close);
  close();
  return () => {};
}

const abortedAt = (stream: string, signal: AbortSignal): WalError =>
  aborted(signal, `what waits for the stream ${stream} was aborted`, { path: stream });

/** The connection that a function opens, when it does so in time; one that comes later is closed. */
async function inTime(opening: Promise<NatsConnection>, stream: string, timeoutMs: number): Promise<NatsConnection> {
  let timer: NodeJS.Timeout | undefined;
  let isLate = false;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      isLate = true;
      const what = `no connection to the servers of the stream ${stream} was opened in ${timeoutMs} ms`;
      reject(new WalError('WAL_TIMEOUT', what, { path: stream, reason: 'timeout' }));
    }, timeoutMs);
  });
  const closing = (connection: NatsConnection): Promise<void> | undefined => (isLate ? connection.close() : undefined);
  opening.then(closing).catch(() => {});
  try {
    return await Promise.race([opening, limit]);
  } finally {
    clearTimeout(timer);
  }
}
