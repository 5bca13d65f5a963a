import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Ingest } from '../src/ingest.js';
import { empty, fill, onSimulatedDisk } from './support/full-disk.js';

let directory: string;
let ingest: Ingest;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'walstack-ingest-test-'));
  ingest = await Ingest.open({ directory, sampleMs: 20 });
});

afterEach(async () => {
  await ingest.close();
  rmSync(directory, { recursive: true });
});

const post = async (payload: unknown, to = ingest) => {
  const headers = { 'content-type': 'application/json' };
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const response = await to.app.inject({ method: 'POST', url: '/events', headers, payload: body });
  return { status: response.statusCode, body: response.json(), headers: response.headers };
};

const get = async (url: string) => (await ingest.app.inject(url)).json();

test('a POST answers with the LSN when its event is durable, and one of many events with the first and the last', async () => {
  expect(await post({ name: 'a', data: { deep: [1, null] } })).toMatchObject({ status: 201, body: { lsn: 1 } });
  expect(ingest.wal.durableLsn).toBe(1);
  const batch = [{ name: 'a' }, { name: 'b', data: 'text' }, { name: 'b' }];
  expect(await post(batch)).toMatchObject({ status: 201, body: { firstLsn: 2, lsn: 4 } });
  expect(ingest.wal.durableLsn).toBe(4);
  const stored: unknown[] = [];
  await ingest.wal.replay('first', ({ payload }) => void stored.push(payload));
  expect(stored).toEqual([{ name: 'a', data: { deep: [1, null] } }, ...batch]);
});

test.each<readonly [string, unknown]>([
  ['a name that is a number', { name: 5 }],
  ['no name', { data: 1 }],
  ['an empty name', { name: '' }],
  ['a name with spaces', { name: 'a b' }],
  ['an unknown property', { name: 'a', date: 1 }],
  ['no events', []],
  ['an array with one that is wrong', [{ name: 'a' }, {}]],
  ['too many events', Array.from({ length: 1001 }, () => ({ name: 'a' }))],
  ['half of JSON', '{"name": "a"'],
  ['a number that would be stored as null', '{"name": "a", "data": {"n": [1e400]}}'],
  ['an integer that would be stored as another one', '[{"name": "a", "data": {"n": 12345678901234567890}}]'],
])('%s is answered with 400, and nothing is stored', async (_what, payload) => {
  expect(await post(payload)).toMatchObject({ status: 400, body: { outcome: 'rejected' } });
  expect(ingest.wal.lastLsn).toBe(0);
});

test('numbers are stored as they were posted', async () => {
  const data = '{"a":[6.02e23,-0.1,9007199254740991,1e-400,9007199254740992],"b":"12345678901234567890 \\"1e400"}';
  expect(await post(`{"name":"a","data":${data}}`)).toMatchObject({ status: 201 });
  const stored: unknown[] = [];
  await ingest.wal.replay('first', ({ payload }) => void stored.push(payload));
  expect(stored).toEqual([{ name: 'a', data: JSON.parse(data) }]);
});

test('an event that is too large is answered with 413', async () => {
  expect((await post({ name: 'a', data: 'x'.repeat(2 ** 20) })).status).toBe(413);
  expect(ingest.wal.lastLsn).toBe(0);
});

test('totals count each event once, also after the server was started again', async () => {
  await post([{ name: 'a' }, { name: 'b' }, { name: '__proto__' }]);
  for (let expected = 1; expected <= 3; expected++) {
    await post({ name: 'a' });
    const lsn = expected + 3;
    while ((await get('/totals')).lsn < lsn) await delay(5);
    const { counts } = await get('/totals');
    expect(Object.entries(counts)).toEqual([
      ['a', expected + 1],
      ['b', 1],
      ['__proto__', 1],
    ]);
    await ingest.close();
    ingest = await Ingest.open({ directory, sampleMs: 20 });
  }
});

test('/stats has the numbers of the log', async () => {
  await Promise.all(Array.from({ length: 20 }, () => post({ name: 'a' })));
  for (;;) {
    const stats = await get('/stats');
    if (stats.durableLsn < 20 || stats.followers[0]?.lagRecords !== 0) {
      await delay(5);
      continue;
    }
    expect(stats).toMatchObject({ state: 'running', firstLsn: 1, followers: [{ name: 'totals' }] });
    expect(stats.commits).toBeGreaterThanOrEqual(20);
    break;
  }
});

test('the page and its parts come from this server', async () => {
  const page = await ingest.app.inject('/');
  expect(page.headers['content-type']).toContain('text/html');
  const parts = [...page.body.matchAll(/(?:href|src|"uplot")[=:] ?"(\/[^"]+)"/g)].map(([, path = '']) => path);
  expect(parts.sort()).toEqual(['/page.css', '/page.js', '/uplot.css', '/uplot.js']);
  for (const part of parts) expect((await ingest.app.inject(part)).statusCode, part).toBe(200);
  expect(page.body).not.toMatch(/https?:/);
});

test('a full disk is answered with 507, and what was acknowledged stays; with room the log goes on', async () => {
  const { disk, options } = onSimulatedDisk(join(directory, 'full'));
  const full = await Ingest.open(options());
  expect((await post({ name: 'a' }, full)).status).toBe(201);
  while ((await full.app.inject('/totals')).json().lsn < 1) await delay(5);
  fill(disk);
  const big = { name: 'b', data: 'x'.repeat(2000) };
  const unknown = await post(big, full);
  expect(unknown).toMatchObject({ status: 507, body: { error: 'WAL_NO_SPACE', outcome: 'unknown' } });
  expect(unknown.headers['retry-after']).toBe('1');
  expect(await post(big, full)).toMatchObject({ status: 507, body: { outcome: 'rejected' } });
  while ((await full.app.inject('/stats')).json().state !== 'full') await delay(5);
  expect(full.wal.durableLsn).toBe(1);
  empty(disk);
  await full.wal.durable(2);
  expect(await post({ name: 'c' }, full)).toMatchObject({ status: 201, body: { lsn: 3 } });
  while ((await full.app.inject('/stats')).json().state !== 'running') await delay(5);
  await full.close();
});

test('while the server shuts down, and when the log is closed, a POST is answered with 503', async () => {
  await post({ name: 'a' });
  const closing = ingest.wal.shutdown();
  expect(await post({ name: 'a' })).toMatchObject({ status: 503, body: { outcome: 'rejected' } });
  await closing;
  expect(await post({ name: 'a' })).toMatchObject({ status: 503, body: { error: 'WAL_CLOSED' } });
});
