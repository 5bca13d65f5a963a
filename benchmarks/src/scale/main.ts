/** `pnpm scale`: measures what a cluster on this machine does, and calculates and simulates what others would do. */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { inPackage } from '../machine/folders.js';
import { describeMachine } from '../machine/machine.js';
import { serverMissing } from '../servers/cluster.js';
import { boundsOf } from './calculation.js';
import { measure } from './measure.js';
import { randomOf } from './random.js';
import { simulate } from './simulation.js';
import { type Results, tablesOf, withTables } from './tables.js';

const HELP = `Measures, calculates and simulates how logs scale over a cluster of NATS JetStream.

  pnpm scale                   calculates and simulates one setup with the costs of the last measurement
  pnpm scale --measure         measures the costs, several logs and an outage on three servers of this machine, in some minutes,
                               and writes them down, in benchmarks/results/scale.json
  pnpm scale --page            makes the tables of docs/scale.md from what is written down

  --logs N --replicas N --servers N --cores N --writers N --rate R --window N --bytes N
                               the setup: records per second of each log (default as many as can be), bytes of a record
  --outage-from S --outage-to S  the first server is gone for that time
  --seconds S                  that are simulated, default 5
  --seed N                     the same run again, default 1
  --data DIR                   where to measure (default data)
  --help                       this text`;

const RESULTS = inPackage('results', 'scale.json');
const PAGE = inPackage('..', 'docs', 'scale.md');

const NUMBERS = {
  logs: 1,
  replicas: 3,
  servers: 3,
  cores: 8,
  writers: Number.NaN,
  rate: Number.POSITIVE_INFINITY,
  window: 256,
  bytes: 156,
  'outage-from': Number.NaN,
  'outage-to': Number.NaN,
  seconds: 5,
  seed: 1,
} as const;

type NumberName = keyof typeof NUMBERS;

async function main(): Promise<void> {
  const standing = process.env['INIT_CWD'] ?? '.';
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      measure: { type: 'boolean', default: false },
      page: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      data: text,
      ...(Object.fromEntries(Object.keys(NUMBERS).map((name) => [name, text])) as Record<NumberName, typeof text>),
    },
  });
  if (values.help) return console.log(HELP);
  if (values.measure) return await measureAll(resolve(standing, values.data ?? 'data'));
  const results = JSON.parse(readFileSync(RESULTS, 'utf8')) as Results;
  if (values.page) {
    writeFileSync(PAGE, withTables(readFileSync(PAGE, 'utf8'), tablesOf(results)));
    return console.log(`Written: ${PAGE}`);
  }
  const number = (name: NumberName): number => numberOf(name, values[name]);
  const logs = number('logs');
  const setup = {
    logs,
    replicas: number('replicas'),
    servers: number('servers'),
    cores: number('cores'),
    writers: Number.isNaN(number('writers')) ? logs : number('writers'),
    rate: number('rate'),
    window: number('window'),
    recordBytes: number('bytes'),
    oneMachine: false,
    networkBytes: 1.25e9,
    costs: results.costs,
    ...(Number.isNaN(number('outage-from'))
      ? {}
      : { outage: { fromS: number('outage-from'), toS: number('outage-to') } }),
  };
  if (setup.replicas > setup.servers) throw new RangeError('there are fewer servers than replicas');
  console.log('limits, the lowest first:');
  for (const { what, recordsPerSecond } of boundsOf(setup)) {
    console.log(`  ${what.padEnd(36)} ${Math.round(recordsPerSecond).toLocaleString('en-US')} records/s`);
  }
  const seed = number('seed');
  const found = simulate(setup, number('seconds'), randomOf(seed));
  const at = (share: number): string => {
    const { latenciesUs } = found;
    return `${((latenciesUs[Math.floor((latenciesUs.length - 1) * share)] ?? 0) / 1000).toFixed(2)} ms`;
  };
  console.log(`simulated with seed ${seed}: ${Math.round(found.recordsPerSecond).toLocaleString('en-US')} records/s`);
  console.log(`  replicated after p50 ${at(0.5)}, p99 ${at(0.99)}, p99.9 ${at(0.999)}`);
  console.log(`  most records of a log behind: ${found.lagMax.toLocaleString('en-US')}`);
  console.log(`  servers busy: ${Math.round(found.serversBusy * 100)} %`);
  if (found.caughtUpS !== undefined) console.log(`  caught up ${found.caughtUpS.toFixed(1)} s behind the outage`);
}

async function measureAll(data: string): Promise<void> {
  if (serverMissing !== undefined)
    throw new Error('there is no nats-server to measure (Debian: apt-get install nats-server)');
  const when = { fromS: 3, seconds: 5, untilS: 90 };
  const outages = [
    { replicas: 3, rate: 5000, ...when },
    { replicas: 3, rate: 1000, ...when },
    { replicas: 1, rate: 5000, ...when },
  ];
  const extent = { records: 100_000, logs: [1, 2, 4], outages };
  const measured = await measure(data, extent, (text) => console.log(text));
  const date = new Date().toISOString().slice(0, 10);
  const results: Results = { date, machine: describeMachine('.'), seed: 1, ...measured };
  writeFileSync(RESULTS, `${JSON.stringify(results, undefined, 2)}\n`);
  console.log(`Written: ${RESULTS}`);
}

function numberOf(name: NumberName, text: string | undefined): number {
  if (text === undefined) return NUMBERS[name];
  const value = Number(text);
  if (!(value > 0) || text.trim() === '') throw new RangeError(`--${name} must be a number above 0, not "${text}"`);
  return value;
}

try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = error instanceof RangeError || error instanceof TypeError ? 2 : 1;
}
