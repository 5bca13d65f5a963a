import { parseArgs } from 'node:util';
import { parsing, runProgram, UsageError, whole } from './command-line.js';
import { runDemo } from './demo.js';
import type { Command } from './order.js';
import { OrderStore } from './order-store.js';
import { type Projection, projected, rebuilt, replaceProjected } from './projection.js';
import { board, sales } from './projections.js';

const HELP = `Orders as streams of events, with projections.

  pnpm shop demo                             takes orders, kills what takes them, and checks the projections
  pnpm shop place ORDER CUSTOMER
  pnpm shop add ORDER ARTICLE QUANTITY CENTS
  pnpm shop pay ORDER
  pnpm shop ship ORDER
  pnpm shop cancel ORDER REASON
  pnpm shop show ORDER
  pnpm shop rebuild                          makes the projections anew, and shows them

  --data DIR     where the shop is (default data/event-sourcing)
  --expect N     the version that the order of a command must have
  --orders N     how many orders "demo" takes, 10 to 1,000,000 (default 500)
  --kills N      how often it kills, 0 to 100 (default 3)
  --help         this text`;

const OPTIONS = {
  data: { type: 'string', default: 'data/event-sourcing' },
  expect: { type: 'string' },
  orders: { type: 'string', default: '500' },
  kills: { type: 'string', default: '3' },
} as const;

/** How many parameters each command has. */
const PARAMETERS: Readonly<Record<string, number>> = {
  demo: 0,
  place: 2,
  add: 4,
  pay: 1,
  ship: 1,
  cancel: 2,
  show: 1,
  rebuild: 0,
};

await runProgram(HELP, main);

async function main(): Promise<void> {
  const { values, positionals } = parsing(() => parseArgs({ options: OPTIONS, allowPositionals: true }));
  const [command = '', ...rest] = positionals;
  if (!Object.hasOwn(PARAMETERS, command)) throw new UsageError(`there is no command "${command}"`);
  if (rest.length !== PARAMETERS[command]) throw new UsageError(`"${command}" takes ${PARAMETERS[command]} parameters`);
  if (command === 'demo') {
    await demo(values.data, whole('orders', values.orders, 10, 1_000_000), whole('kills', values.kills, 0, 100));
  } else if (command === 'rebuild') {
    await rebuild(values.data, sales);
    await rebuild(values.data, board);
  } else {
    const expected = values.expect === undefined ? undefined : whole('expect', values.expect, 0, 1_000_000_000);
    await withOrder(values.data, command, rest, expected);
  }
}

async function demo(data: string, orders: number, kills: number): Promise<void> {
  console.log(`${orders} orders, with ${kills} kills of the process that takes them and of the projections`);
  const result = await runDemo(data, orders, kills);
  console.log('');
  for (const [name, value] of Object.entries(result)) console.log(`  ${name.padEnd(14)}${String(value).padStart(9)}`);
  if (result.lost + result.different > 0) process.exitCode = 1;
}

async function withOrder(data: string, name: string, rest: readonly string[], expected?: number): Promise<void> {
  const store = await OrderStore.open(data);
  try {
    const [id = ''] = rest;
    if (name !== 'show') await store.execute(id, commandOf(name, rest), expected);
    const { version, status, items, cents } = store.get(id);
    console.log(`${id}: ${status}, ${items} items, ${(cents / 100).toFixed(2)} EUR, version ${version}`);
  } finally {
    await store.close();
  }
}

function commandOf(name: string, [, first = '', second = '', third = '']: readonly string[]): Command {
  if (name === 'place') return { do: 'place', customer: first };
  if (name === 'cancel') return { do: 'cancel', reason: first };
  if (name === 'pay' || name === 'ship') return { do: name };
  const quantity = whole('QUANTITY', second, 1, 1_000_000);
  return { do: 'add', article: first, quantity, cents: whole('CENTS', third, 0, 1_000_000_000) };
}

/** Makes a projection anew, and says how far that is and what is different. */
async function rebuild<State>(data: string, projection: Projection<State>): Promise<void> {
  const before = await projected(data, projection);
  const after = await rebuilt(data, projection, ({ bytes, totalBytes, records }) => {
    if (!process.stderr.isTTY) return;
    const percent = totalBytes === 0 ? 100 : Math.floor((100 * bytes) / totalBytes);
    process.stderr.write(`\r${projection.name}: ${percent} %, ${records} events `);
    if (bytes === totalBytes) process.stderr.write('\n');
  });
  await replaceProjected(data, projection, after);
  console.log(`${projection.name} up to LSN ${after.lsn}, before up to ${before?.lsn ?? 'nothing'}:`);
  console.log(JSON.stringify(after.state, undefined, 2));
}
