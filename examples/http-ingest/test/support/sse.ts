import { setTimeout as delay } from 'node:timers/promises';

/** A message of a stream, or a comment. */
export interface Received {
  readonly id: number | undefined;
  readonly event: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: what the server sends is what the tests look at.
  readonly data: any;
  readonly comment: string | undefined;
}

function parse(text: string): Received {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1];
  const [id, event, data] = [field('id'), field('event'), field('data')];
  return {
    id: id === undefined ? undefined : Number(id),
    event,
    data: data === undefined ? undefined : JSON.parse(data),
    comment: /^: (.*)$/m.exec(text)?.[1],
  };
}

/** The messages of one connection, until the server ends it or dies. */
export async function* messagesOf(url: string, lastEventId?: number): AsyncGenerator<Received> {
  const leaving = new AbortController();
  const headers: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': `${lastEventId}` };
  const response = await fetch(url, { headers, signal: leaving.signal });
  if (response.status !== 200 || response.body === null) throw new Error(`answered with ${response.status}`);
  let text = '';
  try {
    const decoder = new TextDecoder();
    for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(bytes, { stream: true });
      const parts = text.split('\n\n');
      text = parts.pop() ?? '';
      yield* parts.map(parse);
    }
  } catch (error) {
    // The connection was lost with the process.
    if (!(error instanceof TypeError)) throw error;
  } finally {
    leaving.abort();
  }
}

/** The events of a stream from the first one on, over as many connections as it takes, as a browser makes them. */
export async function* eventsOf(urlOf: () => string): AsyncGenerator<Received> {
  let last: number | undefined;
  for (;;) {
    try {
      for await (const message of messagesOf(urlOf(), last)) {
        if (message.id === undefined) continue;
        last = message.id;
        yield message;
      }
    } catch (error) {
      // There is no server at the moment.
      if (!(error instanceof TypeError)) throw error;
    }
    await delay(10);
  }
}
