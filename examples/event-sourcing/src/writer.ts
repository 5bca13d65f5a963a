import type { Command } from './order.js';
import { OrderStore } from './order-store.js';

/**
 * Takes orders until there are so many, several at a time, and prints each command that is durable: the order, and its version.
 *
 * node writer.js DIRECTORY ORDERS
 */
const [directory = '', orders = ''] = process.argv.slice(2);
const ARTICLES = ['tea', 'coffee', 'milk', 'sugar', 'bread'] as const;
const AT_A_TIME = 8;

const store = await OrderStore.open(directory);
let begun = store.size;

/** The life of an order, by its number. */
function commandsOf(number: number): Command[] {
  const items = Array.from({ length: 1 + (number % 3) }, (_, index): Command => {
    const article = ARTICLES[(number + index) % ARTICLES.length] ?? 'tea';
    return { do: 'add', article, quantity: 1 + (number % 4), cents: 199 + 50 * index };
  });
  const ending: Command[] = number % 7 === 0 ? [{ do: 'cancel', reason: 'too late' }] : [{ do: 'pay' }, { do: 'ship' }];
  return [{ do: 'place', customer: `customer ${number % 50}` }, ...items, ...ending];
}

async function takeOrders(): Promise<void> {
  while (begun < Number(orders)) {
    const number = ++begun;
    for (const command of commandsOf(number)) {
      const { version } = await store.execute(`order-${number}`, command);
      console.log(`order-${number} ${version}`);
    }
    if (number % 100 === 0) await store.snapshot();
  }
}

await Promise.all(Array.from({ length: AT_A_TIME }, takeOrders));
await store.close();
