import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';

/** How long a client waits before it connects again, in milliseconds. */
const RETRY_MS = 500;

/** A message of a stream of server-sent events. */
export interface Message {
  /** The client sends it as `Last-Event-ID` when it connects again. */
  readonly id?: number;
  readonly event?: string;
  readonly data: unknown;
}

/** Messages, or `undefined` for a heartbeat. */
export type Messages = AsyncIterable<Message | undefined>;

/** Answers with server-sent events, at the speed at which the client reads them. */
export function sendEventStream(reply: FastifyReply, messages: Messages): FastifyReply {
  return reply
    .header('content-type', 'text/event-stream; charset=utf-8')
    .header('cache-control', 'no-store')
    .header('x-accel-buffering', 'no')
    .send(Readable.from(textsOf(messages), { highWaterMark: 16 }));
}

async function* textsOf(messages: Messages): AsyncGenerator<string> {
  yield `retry: ${RETRY_MS}\n\n`;
  for await (const message of messages) yield message === undefined ? ': still here\n\n' : textOf(message);
}

function textOf({ id, event, data }: Message): string {
  const fields = [
    ...(id === undefined ? [] : [`id: ${id}`]),
    ...(event === undefined ? [] : [`event: ${event}`]),
    // JSON has no line breaks.
    `data: ${JSON.stringify(data)}`,
  ];
  return `${fields.join('\n')}\n\n`;
}
