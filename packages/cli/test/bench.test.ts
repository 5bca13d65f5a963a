import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { adviceOf } from '../src/bench/advice.js';
import type { Commits } from '../src/bench/commits.js';
import type { DurableWrite } from '../src/bench/durable-writes.js';
import { cli, json } from './support/cli.js';

test('bench measures every way of every backend, says what fits, and removes what it wrote', async () => {
  const directory = temporaryDirectory();
  const report = json(await cli(['bench', directory, '--seconds', '0.003', '--json']));
  const backends = ['io-uring', 'thread-pool', 'sync-fs'].filter((name) => report.unavailable[name] === undefined);
  expect(backends).toContain('thread-pool');
  for (const backend of backends) {
    const writes = report.writes.filter((write: DurableWrite) => write.backend === backend);
    const syncs = writes.filter(({ method }: DurableWrite) => method === 'datasync');
    expect(syncs.map(({ preallocate }: DurableWrite) => preallocate)).toEqual(['none', 'allocate', 'write']);
    for (const { latencies } of writes) {
      expect(latencies.count).toBeGreaterThanOrEqual(3);
      expect(latencies.medianUs).toBeGreaterThan(0);
      expect(latencies.maxUs).toBeGreaterThanOrEqual(latencies.p99Us);
      expect(latencies.p99Us).toBeGreaterThanOrEqual(latencies.medianUs);
    }
    const commits = report.commits.filter((each: Commits) => each.backend === backend);
    expect(commits.map(({ callers }: Commits) => callers)).toEqual([1, 64, 1, 64]);
    for (const { perSecond } of commits) expect(perSecond).toBeGreaterThan(0);
  }
  expect(report.advice.join('\n')).toContain('One caller that waits for each commit: ');
  expect(readdirSync(directory)).toEqual([]);
});

test('bench prepares files of a bounded length, also for long writes', async () => {
  const directory = temporaryDirectory();
  let longest = 0;
  const look = setInterval(() => {
    for (const name of readdirSync(directory, { recursive: true }) as string[]) {
      if (!name.endsWith('writes')) continue;
      longest = Math.max(longest, statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0);
    }
  }, 1);
  try {
    const bytes = 1024 * 1024;
    expect((await cli(['bench', directory, '--seconds', '0.003', '--bytes', String(bytes)])).code).toBe(0);
    expect(longest).toBeGreaterThanOrEqual(bytes);
    expect(longest).toBeLessThanOrEqual(8 * bytes);
  } finally {
    clearInterval(look);
  }
}, 60_000);

test('bench removes what it wrote when it is interrupted, and refuses wrong arguments', async () => {
  const directory = temporaryDirectory();
  const interrupt = new AbortController();
  const running = cli(['bench', directory, '--seconds', '600'], { signal: interrupt.signal });
  while (!readdirSync(directory, { recursive: true }).some((name) => String(name).endsWith('writes'))) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  interrupt.abort();
  expect((await running).code).toBe(130);
  expect(readdirSync(directory)).toEqual([]);
  expect((await cli(['bench', join(directory, 'nowhere')])).code).toBe(1);
  expect((await cli(['bench', directory, '--bytes', '5000'])).code).toBe(2);
  expect((await cli(['bench', directory, '--seconds', '0'])).code).toBe(2);
});

test('what bench says follows from what was measured', () => {
  const write = (backend: string, preallocate: DurableWrite['preallocate'], medianUs: number): DurableWrite => ({
    backend,
    method: 'datasync',
    preallocate,
    bySync: false,
    latencies: { count: 1, medianUs, p99Us: medianUs, maxUs: medianUs },
  });
  const commits = (backend: string, preset: Commits['preset'], callers: number, perSecond: number): Commits => ({
    backend,
    preset,
    callers,
    perSecond,
    latencies: { count: 1, medianUs: 100, p99Us: 100, maxUs: 100 },
  });
  const disk = { path: '/disk', fileSystem: { type: 'ext4', durableWrites: true }, unavailable: {} };
  const fast = adviceOf({
    ...disk,
    writes: [write('thread-pool', 'none', 1000), write('thread-pool', 'write', 250)],
    commits: [
      commits('thread-pool', 'durable', 1, 500),
      commits('thread-pool', 'low-latency', 1, 2000),
      commits('sync-fs', 'low-latency', 1, 9000),
      commits('io-uring', 'durable', 64, 1000),
      commits('io-uring', 'low-latency', 64, 1050),
      commits('thread-pool', 'durable', 64, 1000),
    ],
  }).join('\n');
  expect(fast).toContain("takes 4.0 times as long: preallocate: 'write' fits");
  expect(fast).toContain("commit: thread-pool with preset: 'low-latency' fits, 2,000 commits");
  expect(fast).toContain('io-uring with the default options fits, 1,000 commits');
  expect(fast).toContain('about as many on thread-pool');
  const caution = 'tmpfs, which lives in memory';
  const memory = adviceOf({
    ...disk,
    fileSystem: { type: 'tmpfs', durableWrites: false, caution },
    writes: [write('sync-fs', 'none', 5), { ...write('io-uring', 'write', 5), method: 'durable write', bySync: true }],
    commits: [],
  }).join('\n');
  expect(memory).toContain('/disk is on tmpfs, which lives in memory.');
  expect(memory).toContain('this is memory, or a disk that reports a sync before it has stored anything');
  expect(memory).toContain('as a write and a datasync on tmpfs');
});
