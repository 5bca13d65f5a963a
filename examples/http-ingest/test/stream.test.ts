import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Ingest } from '../src/ingest.js';
import { messagesOf, type Received } from './support/sse.js';

let directory: string;
let ingest: Ingest;
let stream: string;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'walstack-ingest-test-'));
  ingest = await Ingest.open({
    directory,
    heartbeatMs: 20,
    log: { segmentBytes: 8192, blockBytes: 512, preallocate: 'none' },
  });
  stream = `http://127.0.0.1:${await ingest.listen(0)}/events/stream`;
});

afterEach(async () => {
  await ingest.close();
  rmSync(directory, { recursive: true });
});

/** The messages with an event or data, until there are so many. */
async function take(count: number, url: string, lastEventId?: number): Promise<Received[]> {
  const taken: Received[] = [];
  for await (const message of messagesOf(url, lastEventId)) {
    if (message.data !== undefined) taken.push(message);
    if (taken.length === count) break;
  }
  return taken;
}

const ids = (messages: readonly Received[]) => messages.map(({ id }) => id);

test('a stream has the existing events and then new ones, with their LSNs as ids', async () => {
  for (const name of ['a', 'b']) await ingest.wal.commit({ name });
  const taking = take(4, stream);
  await ingest.wal.commit({ name: 'c', data: { two: 'lines\nof text' } });
  await ingest.wal.commit({ name: 'd' });
  const taken = await taking;
  expect(ids(taken)).toEqual([1, 2, 3, 4]);
  expect(taken[2]?.data).toMatchObject({ lsn: 3, name: 'c', data: { two: 'lines\nof text' } });
});

test('it goes on behind Last-Event-ID, or begins at ?from', async () => {
  for (const name of ['a', 'b', 'c']) await ingest.wal.commit({ name });
  expect(ids(await take(2, stream, 1))).toEqual([2, 3]);
  expect(ids(await take(1, `${stream}?from=3`))).toEqual([3]);
  expect(ids(await take(1, `${stream}?from=1`, 2)), 'the header is later').toEqual([3]);
  const next = take(1, stream, 3);
  await ingest.wal.commit({ name: 'd' });
  expect(ids(await next)).toEqual([4]);
});

test.each([
  ['text', 400],
  ['-1', 400],
  ['1.5', 400],
  ['7', 409],
])('the LSN %s is answered with %i', async (lastEventId, status) => {
  await ingest.wal.commit({ name: 'a' });
  const answer = await ingest.app.inject({ url: '/events/stream', headers: { 'last-event-id': lastEventId } });
  expect(answer.statusCode).toBe(status);
});

test('a connection on which nothing was asked does not keep the server open', async () => {
  const socket = connect(Number(new URL(stream).port), '127.0.0.1');
  await once(socket, 'connect');
  await Promise.all([once(socket, 'close'), ingest.close()]);
});

test('a stream without events has heartbeats, and ends when the server is closed', async () => {
  const comments: unknown[] = [];
  for await (const { comment } of messagesOf(stream)) {
    if (comment !== undefined) comments.push(comment);
    if (comments.length === 2) void ingest.close();
  }
  expect(comments.slice(0, 2)).toEqual(['still here', 'still here']);
  await ingest.close();
});

test('events that were truncated are announced as a gap', async () => {
  for (let number = 1; number <= 40; number++) await ingest.wal.commit({ name: 'a', data: 'x'.repeat(1000) });
  // The totals keep what they have not counted.
  while (ingest.wal.firstLsn < 30) await ingest.wal.truncateBefore(40);
  const { firstLsn } = ingest.wal;
  const [gap, first] = await take(2, stream, 3);
  expect(gap).toMatchObject({ event: 'gap', data: { fromLsn: 4, toLsn: firstLsn - 1 } });
  expect(first?.id).toBe(firstLsn);
});
