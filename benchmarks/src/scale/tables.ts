import { boundsOf, catchUpSeconds } from './calculation.js';
import type { Measured } from './measure.js';
import { randomOf } from './random.js';
import type { Costs, Setup } from './setup.js';
import { simulate } from './simulation.js';

/** What stands in a results file. */
export interface Results extends Measured {
  readonly date: string;
  readonly machine: string;
  readonly seed: number;
}

/** Bytes of a frame around a payload of 100 bytes, with its position. */
const RECORD_BYTES = 156;
const LOOPBACK = {
  writers: 1,
  servers: 3,
  cores: 2,
  oneMachine: true,
  networkBytes: Number.POSITIVE_INFINITY,
} as const;
/** Machines as they are rented: 8 cores and 10 Gbit/s each. */
const RENTED = { servers: 3, cores: 8, oneMachine: false, networkBytes: 1.25e9 } as const;
const WINDOW = 256;

const setup = (costs: Costs, more: Partial<Setup> & Pick<Setup, 'logs' | 'replicas'>): Setup => ({
  ...LOOPBACK,
  rate: Number.POSITIVE_INFINITY,
  recordBytes: RECORD_BYTES,
  window: WINDOW,
  costs,
  ...more,
});

/** The tables of the page, by their names. */
export function tablesOf(results: Results): Readonly<Record<string, string>> {
  return {
    costs: costsTable(results),
    check: checkTable(results),
    outage: outageTable(results),
    plan: planTable(results),
    lag: lagTable(results),
  };
}

function costsTable({ costs, date, machine }: Results): string {
  const us = (value: number): string => `${value.toFixed(1)} µs`;
  const rows = [
    ['the process that ships', us(costs.clientUs), us(costs.clientUs)],
    ['the server that leads the stream', us(costs.leaderUs.alone), us(costs.leaderUs.replicated)],
    ['each server that follows', '–', us(costs.followerUs)],
    ['a lone record, besides these', us(costs.delayUs.alone), us(costs.delayUs.replicated)],
    ['the process that makes the log again', us(costs.rebuildUs), us(costs.rebuildUs)],
  ];
  return `Measured on ${date}: ${machine}.\n\n${tableOf(['time for each record', 'one replica', 'three replicas'], rows)}`;
}

function checkTable({ costs, shipped, seed }: Results): string {
  const rows = shipped.map(({ logs, replicas, recordsPerSecond }) => {
    const asked = setup(costs, { logs, replicas });
    const [first] = boundsOf(asked);
    const { recordsPerSecond: simulated } = simulate(asked, 1, randomOf(seed));
    return [
      `${logs}`,
      `${replicas}`,
      count(recordsPerSecond),
      `${count(simulated)} (${difference(simulated, recordsPerSecond)})`,
      `${count(first?.recordsPerSecond ?? 0)} (${difference(first?.recordsPerSecond ?? 0, recordsPerSecond)})`,
      first?.what ?? '',
    ];
  });
  return tableOf(['logs', 'replicas', 'measured, records/s', 'simulated', 'calculated', 'which fails first'], rows);
}

function outageTable({ costs, outages, seed }: Results): string {
  const rows = outages.map(({ replicas, rate, outageS, lagMax, caughtUpS }) => {
    const runs = Array.from({ length: 10 }, (_, run) => {
      const asked = setup(costs, { logs: 1, replicas, rate, outage: { fromS: 1, toS: 1 + outageS } });
      return simulate(asked, 25, randomOf(seed + run));
    });
    const lags = runs.map((run) => run.lagMax).sort((one, other) => one - other);
    const times = runs.map((run) => run.caughtUpS ?? Number.NaN).sort((one, other) => one - other);
    return [
      `${count(rate)} records/s, ${outageS} s`,
      `${replicas}`,
      count(lagMax),
      `${count(lags[0] ?? 0)} to ${count(lags.at(-1) ?? 0)}`,
      `${caughtUpS.toFixed(1)} s`,
      `${times[0]?.toFixed(1)} to ${times.at(-1)?.toFixed(1)} s`,
    ];
  });
  return tableOf(
    ['load, outage of the leader', 'replicas', 'most records behind', 'simulated', 'caught up after', 'simulated'],
    rows,
  );
}

function planTable({ costs }: Results): string {
  const rows = [
    [1, 1],
    [1, 3],
    [4, 3],
    [12, 3],
    [48, 3],
  ].map(([logs = 1, replicas = 1]) => {
    const bounds = boundsOf(setup(costs, { ...RENTED, logs, replicas, writers: logs }));
    const [first, second] = bounds;
    return [
      `${logs}`,
      `${replicas}`,
      count(first?.recordsPerSecond ?? 0),
      first?.what ?? '',
      `${second?.what}, ${count(second?.recordsPerSecond ?? 0)}`,
    ];
  });
  return tableOf(['logs', 'replicas', 'records/s', 'which fails first', 'then'], rows);
}

function lagTable({ costs }: Results): string {
  const asked = setup(costs, { ...RENTED, logs: 12, replicas: 3, writers: 12 });
  const capacity = boundsOf(asked)[0]?.recordsPerSecond ?? 0;
  const rows = [0.25, 0.5, 0.8].map((share) => {
    const rate = (capacity * share) / asked.logs;
    const loaded = { ...asked, rate };
    const hours = 24 * 3600 * rate * asked.logs;
    return [
      `${Math.round(share * 100)} %, ${count(rate * asked.logs)} records/s`,
      `${catchUpSeconds(9, loaded, capacity).toFixed(1)} s`,
      `${(catchUpSeconds(3600, loaded, capacity) / 60).toFixed(0)} min`,
      `${((hours * costs.rebuildUs) / 1e6 / asked.logs / 60).toFixed(0)} min`,
    ];
  });
  return tableOf(
    ['load', 'after an election of 9 s', 'after an hour without the cluster', 'a day of one log made again'],
    rows,
  );
}

const count = (value: number): string => Number(value.toPrecision(3)).toLocaleString('en-US');

const difference = (value: number, measured: number): string => {
  const percent = Math.round((value / measured - 1) * 100);
  return `${percent < 0 ? '−' : '+'}${Math.abs(percent)} %`;
};

const tableOf = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

/** The page with its tables replaced: each stands between two comments with its name. */
export function withTables(page: string, tables: Readonly<Record<string, string>>): string {
  return Object.entries(tables).reduce((text, [name, table]) => {
    const begin = `<!-- ${name}: made by pnpm scale -->\n`;
    const end = `\n<!-- /${name} -->`;
    const [from, to] = [text.indexOf(begin), text.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`the page has no place for the table ${name}`);
    return text.slice(0, from + begin.length) + table + text.slice(to);
  }, page);
}
