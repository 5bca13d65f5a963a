import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ServerProcess } from './support/server-process.js';
import { eventsOf } from './support/sse.js';

const program = (name: string) => fileURLToPath(new URL(`../dist/${name}.js`, import.meta.url));

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'walstack-ingest-test-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

/** Posts numbers, 8 at a time, until the server has died. @returns those that were acknowledged, with their LSNs */
async function postUntilKilled(server: ServerProcess, begin: number, killAfter: number): Promise<Map<number, number>> {
  const acknowledged = new Map<number, number>();
  let number = begin;
  let killing: Promise<unknown> | undefined;
  async function call(): Promise<void> {
    while (killing === undefined) {
      const mine = number++;
      const answer = await fetch(`${server.url}/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'number', data: mine }),
      }).catch(() => undefined);
      const body = await answer?.json().catch(() => undefined);
      if (body !== undefined) acknowledged.set(mine, body.lsn);
      if (acknowledged.size >= killAfter) killing ??= server.end('SIGKILL');
    }
  }
  await Promise.all(Array.from({ length: 8 }, call));
  await killing;
  return acknowledged;
}

test('what was acknowledged is there behind each kill, and a stream has every event once, in order, over all of them', async () => {
  let server = await ServerProcess.start(directory);
  const events = eventsOf(() => `${server.url}/events/stream`);
  const acknowledged = new Map<number, number>();
  const seen = new Map<number, number>();
  let lastLsn = 0;

  async function followTo(lsn: number): Promise<void> {
    while (lastLsn < lsn) {
      const { value } = await events.next();
      expect(value?.id).toBe(++lastLsn);
      seen.set(value?.data.data, lastLsn);
    }
  }

  for (let kill = 0; kill < 2; kill++) {
    const begin = kill * 100_000;
    // The stream is read meanwhile, and lost in the midst of it.
    const following = followTo(lastLsn + 20);
    for (const [number, lsn] of await postUntilKilled(server, begin, 60)) acknowledged.set(number, lsn);
    server = await ServerProcess.start(directory);
    await following;
  }
  await followTo(Math.max(...acknowledged.values()));
  const stats = await (await fetch(`${server.url}/stats`)).json();
  await followTo(stats.durableLsn);
  for (const [number, lsn] of acknowledged) expect(seen.get(number), `number ${number}`).toBe(lsn);
  expect(seen.size, 'none is there twice').toBe(lastLsn);
  await events.return(undefined);
  await server.end('SIGKILL');
});

test('SIGTERM answers what was posted, closes the log in order, and exits with 0', async () => {
  let server = await ServerProcess.start(directory);
  const posts = Array.from({ length: 50 }, () =>
    fetch(`${server.url}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'a' }),
    }).then(
      async (answer) => [answer.status, (await answer.json()).lsn] as const,
      () => [0, 0] as const,
    ),
  );
  await Promise.race(posts);
  // It does not wait for a stream that is open.
  const stream = await fetch(`${server.url}/events/stream`);
  expect(await server.end('SIGTERM')).toEqual([0, null]);
  await stream.body?.cancel();
  const answers = await Promise.all(posts);
  const lsns = answers.filter(([status]) => status === 201).map(([, lsn]) => lsn);
  expect(lsns.length).toBeGreaterThan(0);
  for (const [status] of answers) expect([201, 503, 0]).toContain(status);
  expect(server.lines.join()).toMatch(/^Closed: everything up to LSN \d+ is durable\.$/);

  server = await ServerProcess.start(directory);
  expect((await (await fetch(`${server.url}/stats`)).json()).durableLsn).toBeGreaterThanOrEqual(Math.max(...lsns));
  const { status, stdout } = spawnSync(
    process.execPath,
    [program('load'), '--url', server.url, '--count', '40', '--callers', '4', '--seconds', '600'],
    { encoding: 'utf8' },
  );
  expect([status, stdout.split('\n')[0]]).toEqual([0, expect.stringMatching(/^40 events durable in /)]);
  expect(await server.end('SIGINT')).toEqual([0, null]);
});

test('the command lines', () => {
  const run = (name: string, ...args: string[]) =>
    spawnSync(process.execPath, [program(name), ...args], { encoding: 'utf8' });
  expect(run('main', '--port', 'many')).toMatchObject({ status: 2, stderr: expect.stringContaining('not "many"') });
  expect(run('main', '--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('pnpm ingest') });
  const elsewhere = run('load', '--url', 'http://example.org');
  expect(elsewhere).toMatchObject({ status: 2, stderr: expect.stringContaining('of this machine') });
});
