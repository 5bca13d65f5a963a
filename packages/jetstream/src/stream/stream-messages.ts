import { type Consumer, type ConsumerMessages, DeliverPolicy, type JetStreamClient } from '@nats-io/jetstream';
import { WalError } from '@walstack/codec';
import { PART_HEADER, PartJoiner } from '../messages/parts.js';
import { Places, publishedBy } from '../messages/places.js';
import type { StreamSettings } from '../options.js';
import { askLeader } from './elections.js';
import { streamError } from './stream-errors.js';

/** A message of a log in its stream, its parts joined. */
export interface StreamMessage {
  /** The sequence of its last part. */
  readonly sequence: number;
  /** For errors. */
  readonly where: string;
  readonly bytes: Uint8Array;
  /** The bytes of its last part; those of the whole where it has none. */
  readonly last: Uint8Array;
}

/** So often it is tried to begin. */
const ATTEMPTS = 4;

/** Messages that the server sends ahead. */
const MESSAGES_AHEAD = 1000;

/**
 * Reads the messages of a stream that are in their place, in order. The one before the first of them has to be in its place.
 *
 * @param from - the first sequence
 * @param to - the last one; `Infinity` goes on with what is published later, and waits for that without a limit
 * @throws `WAL_CORRUPT` for parts out of order, `WAL_TIMEOUT` when the server sends nothing, `WAL_IO_FAILED`
 */
export async function* streamMessages(
  client: JetStreamClient,
  stream: string,
  from: number,
  to: number,
  timeoutMs: number,
): AsyncGenerator<StreamMessage, void, undefined> {
  if (from > to) return;
  // The message before tells whether the first one is in its place.
  const { consumer, messages } = await consumed(client, Math.max(1, from - 1), { stream, timeoutMs });
  const places = new Places();
  const joiner = new PartJoiner();
  let isFailed = true;
  const silence = watchdog(() => messages.stop(new WalError('WAL_TIMEOUT', `the stream ${stream} sends nothing`)));
  try {
    const limitMs = to === Number.POSITIVE_INFINITY ? undefined : timeoutMs;
    silence.reset(limitMs);
    for await (const message of messages) {
      silence.reset(limitMs);
      const sequence = message.seq;
      const isInPlace = places.isInPlace(publishedBy(sequence, message.headers));
      if (sequence < from) continue;
      const where = `message ${sequence} of the stream ${stream}`;
      // Data of the client's buffer, which holds many messages.
      const bytes = new Uint8Array(message.data);
      const whole = isInPlace ? joiner.next(message.headers?.get(PART_HEADER) ?? '', bytes, where) : undefined;
      if (whole !== undefined) {
        silence.stop();
        isFailed = false;
        yield { sequence, where, bytes: whole, last: bytes };
        isFailed = true;
        silence.reset(limitMs);
      }
      if (sequence < to) continue;
      isFailed = false;
      return;
    }
    throw new WalError('WAL_IO_FAILED', `reading of the stream ${stream} has ended: the connection was lost`, {
      path: stream,
      reason: 'connection',
    });
  } catch (error) {
    throw streamError(error, stream, 'reading');
  } finally {
    silence.stop();
    await messages.close().catch(() => {});
    // The server would remove it later, and so it does where it may not answer.
    if (!isFailed) await consumer.delete().catch(() => {});
  }
}

/** After an election of the cluster the first request may get no answer. */
async function consumed(
  client: JetStreamClient,
  from: number,
  settings: Pick<StreamSettings, 'stream' | 'timeoutMs'>,
): Promise<{ readonly consumer: Consumer; readonly messages: ConsumerMessages }> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await askLeader(settings, 'reading', async () => {
        const consumer = await client.consumers.get(settings.stream, {
          deliver_policy: DeliverPolicy.StartSequence,
          opt_start_seq: from,
        });
        const options = { max_messages: MESSAGES_AHEAD, abort_on_missing_resource: true };
        return { consumer, messages: await consumer.consume(options) };
      });
    } catch (error) {
      if (attempt === ATTEMPTS || !WalError.is(error, 'WAL_TIMEOUT') || error.reason !== 'timeout') throw error;
    }
  }
}

/** Calls a function when it was not reset for so long. */
function watchdog(call: () => void): { reset(ms: number | undefined): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => clearTimeout(timer);
  const reset = (ms: number | undefined): void => {
    stop();
    if (ms !== undefined) timer = setTimeout(call, ms);
  };
  return { reset, stop };
}
