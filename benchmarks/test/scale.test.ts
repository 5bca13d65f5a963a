import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { boundsOf, catchUpSeconds } from '../src/scale/calculation.js';
import { EventQueue } from '../src/scale/event-queue.js';
import { randomOf } from '../src/scale/random.js';
import { ELECTION_S, type Setup } from '../src/scale/setup.js';
import { simulate } from '../src/scale/simulation.js';
import { type Results, tablesOf, withTables } from '../src/scale/tables.js';

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const COSTS = {
  clientUs: 40,
  leaderUs: { alone: 20, replicated: 30 },
  followerUs: 20,
  delayUs: { alone: 300, replicated: 500 },
  rebuildUs: 20,
};

const setupOf = (more: Partial<Setup> = {}): Setup => ({
  logs: 1,
  writers: 1,
  servers: 3,
  replicas: 3,
  cores: 2,
  oneMachine: false,
  rate: Number.POSITIVE_INFINITY,
  recordBytes: 156,
  networkBytes: Number.POSITIVE_INFINITY,
  window: 256,
  costs: COSTS,
  ...more,
});

const limitOf = (setup: Setup): number => boundsOf(setup)[0]?.recordsPerSecond ?? 0;

const setups = fc
  .record({
    logs: fc.integer({ min: 1, max: 9 }),
    servers: fc.constantFrom(1, 3, 5),
    replicas: fc.constantFrom(1, 3, 5),
    cores: fc.integer({ min: 1, max: 4 }),
    writers: fc.integer({ min: 1, max: 4 }),
    window: fc.constantFrom(8, 64, 256),
    oneMachine: fc.boolean(),
  })
  .filter(({ servers, replicas }) => replicas <= servers);

test('no setup passes its lowest limit, and the same seed gives the same run', () => {
  const check = fc.property(setups, fc.integer(), (more, seed) => {
    const setup = setupOf(more);
    const seconds = 0.3;
    const found = simulate(setup, seconds, randomOf(seed));
    // A server that follows, and is not needed for the quorum, may fall behind.
    const { leaderUs, followerUs } = COSTS;
    const quorumUs = more.replicas === 1 ? leaderUs.alone : leaderUs.replicated + (more.replicas >> 1) * followerUs;
    const processors = (more.servers * more.cores * 1e6) / quorumUs;
    const [first] = boundsOf(setup).filter(({ what }) => !what.includes('processor'));
    const limit = Math.min(first?.recordsPerSecond ?? 0, processors);
    expect(found.recordsPerSecond).toBeLessThanOrEqual(limit * 1.02);
    expect(found.stored).toBeGreaterThan(0);
    expect(simulate(setup, seconds, randomOf(seed))).toEqual(found);
  });
  fc.assert(check, { numRuns: 20 });
});

test.each([
  ['the threads that ship', setupOf({ cores: 8 })],
  ['one stream at its leader', setupOf({ cores: 8, costs: { ...COSTS, clientUs: 5 } })],
  ['the window of each log', setupOf({ cores: 8, window: 4 })],
  ['the processors of the servers', setupOf({ logs: 12, writers: 12, cores: 1 })],
  ['the processor of the machine', setupOf({ logs: 4, writers: 4, oneMachine: true })],
  ['what is committed', setupOf({ logs: 3, writers: 3, rate: 1000 })],
])('where %s comes first, the simulation agrees with the calculation', (what, setup) => {
  const [first] = boundsOf(setup);
  expect(first?.what).toBe(what);
  const { recordsPerSecond } = simulate(setup, 1, randomOf(1));
  expect(recordsPerSecond / limitOf(setup)).toBeGreaterThan(0.93);
  expect(recordsPerSecond / limitOf(setup)).toBeLessThan(1.05);
});

test('a lone record takes the sum of its steps', () => {
  const { latenciesUs } = simulate(setupOf({ rate: 20 }), 2, randomOf(1));
  const { clientUs, leaderUs, followerUs, delayUs } = COSTS;
  expect(latenciesUs[0]).toBeCloseTo(clientUs + leaderUs.replicated + followerUs + delayUs.replicated);
});

test('what an outage has left behind drains with what is free, and a load above the limit never does', () => {
  const setup = setupOf({ rate: 12_500, outage: { fromS: 1, toS: 2 } });
  const limit = limitOf(setupOf());
  const { caughtUpS = 0, lagMax, stored } = simulate(setup, 40, randomOf(1));
  // It has no leader for the time of an election, and catches up behind that.
  const [soonest, latest] = [ELECTION_S.least, ELECTION_S.most].map((s) => s + catchUpSeconds(s, setup, limit));
  expect(caughtUpS).toBeGreaterThan((soonest as number) * 0.9);
  expect(caughtUpS).toBeLessThan((latest as number) * 1.1);
  expect(lagMax).toBeGreaterThan(ELECTION_S.least * setup.rate * 0.95);
  expect(stored / (40 * setup.rate)).toBeGreaterThan(0.97);
  const above = setupOf({ rate: limit * 1.2 });
  expect(catchUpSeconds(1, above, limit)).toBe(Number.POSITIVE_INFINITY);
  expect(simulate(above, 1, randomOf(1)).lagMax).toBeGreaterThan(limit * 0.15);
});

test('without a quorum nothing is stored until the server is back', () => {
  const setup = setupOf({ replicas: 1, rate: 1000, outage: { fromS: 1, toS: 3 } });
  const { lagMax, caughtUpS = 0 } = simulate(setup, 6, randomOf(1));
  expect(lagMax).toBeGreaterThan(1800);
  expect(lagMax).toBeLessThan(2200);
  expect(caughtUpS).toBeGreaterThanOrEqual(2);
  // Streams on other servers notice nothing.
  const others = setupOf({ logs: 3, writers: 3, replicas: 1, rate: 1000, outage: { fromS: 1, toS: 3 } });
  expect(simulate(others, 6, randomOf(1)).stored).toBeGreaterThan(3 * 6 * 1000 * 0.95);
});

test('events happen in the order of their times', () => {
  const check = fc.property(fc.array(fc.nat(50), { maxLength: 60 }), (delays) => {
    const events = new EventQueue();
    const seen: number[] = [];
    for (const delay of delays) events.in(delay, () => seen.push(events.nowUs));
    events.run(100);
    expect(seen).toEqual(delays.toSorted((one, other) => one - other));
  });
  fc.assert(check);
});

test('the page has the tables of what was measured', () => {
  const results = JSON.parse(readFileSync(file('../results/scale.json'), 'utf8')) as Results;
  const page = readFileSync(file('../../docs/scale.md'), 'utf8');
  expect(withTables(page, tablesOf(results))).toBe(page);
  expect(() => withTables(page, { missing: '' })).toThrow('no place for the table missing');
});

test('the command calculates and simulates a setup, and refuses what is none', () => {
  const scale = (...args: readonly string[]) =>
    spawnSync(process.execPath, [file('../dist/scale.js'), ...args], { encoding: 'utf8' });
  const { stdout, status } = scale('--logs', '2', '--rate', '500', '--seconds', '1', '--seed', '7');
  expect(status).toBe(0);
  expect(stdout).toMatch(/^limits, the lowest first:\n {2}what is committed +1,000 records\/s\n/);
  expect(stdout).toMatch(/simulated with seed 7: (9|10)\d\d|1,0\d\d records\/s/);
  for (const wrong of [
    ['--logs', '0'],
    ['--rate', 'x'],
    ['--servers', '2'],
    ['--outage', '1'],
  ]) {
    expect([wrong, scale(...wrong).status]).toEqual([wrong, 2]);
  }
});
