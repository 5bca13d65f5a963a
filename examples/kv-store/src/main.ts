import { parseArgs } from 'node:util';
import { KeyValueStore, type Value } from './store.js';

const HELP = `A durable key-value store.

  pnpm kv put KEY VALUE     puts a value: JSON, or else text
  pnpm kv get KEY           prints it; the exit code is 1 when there is none
  pnpm kv delete KEY
  pnpm kv list              all keys
  pnpm kv snapshot          writes a snapshot, and shortens the log
  pnpm kv fill N            puts N entries, in groups, and prints how fast

  --data DIR                where the store is (default data/kv-store)`;

/** How many parameters each command has. */
const COMMANDS: Readonly<Record<string, number>> = { put: 2, get: 1, delete: 1, list: 0, snapshot: 0, fill: 1 };

class UsageError extends Error {}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error((error as Error).message);
  if (error instanceof UsageError) console.error(`\n${HELP}`);
  process.exitCode = 2;
}

async function main(argv: readonly string[]): Promise<void> {
  const { values, positionals } = parsed(argv);
  const [command, ...rest] = positionals;
  if (values.help === true || command === undefined) {
    console.log(HELP);
    return;
  }
  if (!Object.hasOwn(COMMANDS, command)) throw new UsageError(`there is no command "${command}"`);
  if (rest.length !== COMMANDS[command]) throw new UsageError(`"${command}" takes ${COMMANDS[command]} parameters`);
  const count = Number(rest[0]);
  if (command === 'fill' && !(Number.isSafeInteger(count) && count > 0)) {
    throw new UsageError(`fill needs a whole number, not "${rest[0]}"`);
  }
  const store = await KeyValueStore.open(values.data);
  try {
    await run(store, command, rest);
  } finally {
    await store.close();
  }
}

async function run(store: KeyValueStore, command: string, [key = '', value = '']: readonly string[]): Promise<void> {
  if (command === 'put') await store.put(key, parseValue(value));
  else if (command === 'delete') await store.delete(key);
  else if (command === 'snapshot') await store.snapshot();
  else if (command === 'list') for (const each of store.keys()) console.log(each);
  else if (command === 'fill') await fill(store, Number(key));
  else {
    const found = store.get(key);
    if (found === undefined) process.exitCode = 1;
    else console.log(typeof found === 'string' ? found : JSON.stringify(found));
  }
}

/** Puts entries, 512 at the same time: these share a write and a sync. */
async function fill(store: KeyValueStore, count: number): Promise<void> {
  const began = performance.now();
  for (let from = 0; from < count; from += 512) {
    const puts = Array.from({ length: Math.min(512, count - from) }, (_, index) => {
      const number = from + index;
      return store.put(`key ${number % 10_000}`, { number });
    });
    await Promise.all(puts);
  }
  const seconds = (performance.now() - began) / 1000;
  console.log(`${count} puts, each durable: ${Math.round(count / seconds)} per second; ${store.size} keys`);
}

/** Text that is JSON; with a number in it that JavaScript may represent by another one it stays as it is. */
function parseValue(text: string): Value {
  let isExact = true;
  const check = (_key: string, value: unknown): unknown => {
    if (typeof value === 'number' && !(Number.isSafeInteger(value) || (value % 1 !== 0 && Number.isFinite(value)))) {
      isExact = false;
    }
    return value;
  };
  try {
    const value = JSON.parse(text, check) as Value;
    return isExact ? value : text;
  } catch {
    return text;
  }
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { data: { type: 'string', default: 'data/kv-store' }, help: { type: 'boolean', short: 'h' } },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
