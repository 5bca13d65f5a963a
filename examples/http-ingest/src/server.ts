import type { Wal } from '@walstack/wal';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { answerFor } from './answers.js';
import { changedNumber, type IngestEvent, POSTED, type Posted } from './event.js';
import { type Message, sendEventStream } from './event-stream.js';
import { followedEvents } from './followed.js';
import { servePage } from './page-files.js';
import { sampleMessages } from './sample-messages.js';
import type { Sampler } from './sampler.js';
import type { Totals } from './totals.js';

/** What the server answers from. */
export interface Parts {
  readonly wal: Wal<IngestEvent>;
  readonly sampler: Sampler;
  readonly totals: Totals;
  /** How long a stream is silent before it says that it is still there, in milliseconds. */
  readonly heartbeatMs: number;
}

class BadRequest extends Error {
  readonly code = 'BAD_REQUEST';
  readonly statusCode: number;

  constructor(statusCode: number, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

/** The routes. Closing it ends the streams and waits for answers; the log stays open. */
export function makeServer({ wal, sampler, totals, heartbeatMs }: Parts): FastifyInstance {
  const app = Fastify({
    // What was posted is stored as it is, or refused.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  });
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, json, done) => {
    const changed = changedNumber(json);
    if (changed === undefined) void parse(request, json, done);
    else done(new BadRequest(400, `the number ${changed.slice(0, 40)} would not be stored as it is: post it as text`));
  });
  const closing = new AbortController();
  app.addHook('preClose', async () => closing.abort());

  /** Aborted when the client has left, or the server is closed. */
  const streamSignal = ({ raw }: FastifyRequest): AbortSignal => {
    const leaving = new AbortController();
    const leave = () => {
      closing.signal.removeEventListener('abort', leave);
      leaving.abort();
    };
    raw.socket.once('close', leave);
    closing.signal.addEventListener('abort', leave, { once: true });
    return leaving.signal;
  };

  app.setErrorHandler<Error & { statusCode?: number; code?: string }>((error, _request, reply) => {
    const { status, body } = answerFor(error);
    if (status === 503 || status === 507) reply.header('retry-after', 1);
    return reply.code(status).send(body);
  });

  app.post<{ Body: Posted }>('/events', { schema: { body: POSTED } }, async ({ body }, reply) => {
    const began = performance.now();
    const answer = await commit(wal, body);
    sampler.recordLatency(performance.now() - began);
    return reply.code(201).send(answer);
  });

  app.get<{ Querystring: { from?: string } }>('/events/stream', (request, reply) => {
    const from = firstOf(request, wal.durableLsn);
    return sendEventStream(reply, followedEvents(wal, from, { heartbeatMs, signal: streamSignal(request) }));
  });

  app.get('/stats', () => sampler.samples.at(-1));
  app.get('/stats/stream', (request, reply) =>
    sendEventStream(reply, sampleMessages(sampler, streamSignal(request)) as AsyncIterable<Message>),
  );
  app.get('/totals', () => totals.state);
  servePage(app);
  return app;
}

/** Resolves when what was posted is durable. */
async function commit(wal: Wal<IngestEvent>, posted: Posted): Promise<{ firstLsn?: number; lsn: number }> {
  if (!isArray(posted)) return { lsn: await wal.commit(posted) };
  const batch = wal.batch();
  for (const event of posted) batch.add(event);
  const lsn = await wal.commitBatch(batch);
  return { firstLsn: lsn - posted.length + 1, lsn };
}

const isArray = (posted: Posted): posted is readonly IngestEvent[] => Array.isArray(posted);

/** The first LSN for a stream: behind the last one that the client has, `?from=LSN`, or the first event in the log. */
function firstOf(request: FastifyRequest<{ Querystring: { from?: string } }>, durableLsn: number): number | 'first' {
  const last = request.headers['last-event-id'];
  const { from } = request.query;
  if (last === undefined && from === undefined) return 'first';
  const first = last === undefined ? Number(from) : Number(last) + 1;
  if (!/^\d{1,15}$/.test(`${last ?? from}`) || first < 1) throw new BadRequest(400, 'the LSN must be a whole number');
  if (first <= durableLsn + 1) return first;
  throw new BadRequest(409, `the log ends with ${durableLsn}: the client has seen another log`);
}
