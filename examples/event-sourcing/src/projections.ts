import { TYPES } from './events.js';
import type { Projection } from './projection.js';

/** How often an article was sold, and for how much. */
interface Sold {
  quantity: number;
  cents: number;
}

interface Item extends Sold {
  readonly article: string;
}

/** What was sold, by article: an order counts when it is paid. */
export interface Sales {
  readonly articles: Record<string, Sold>;
  /** The items of orders that are not paid. */
  readonly unpaid: Record<string, Item[]>;
}

export const sales: Projection<Sales> = {
  name: 'sales',
  types: [TYPES['item-added'], TYPES.paid, TYPES.cancelled],
  empty: () => ({ articles: {}, unpaid: {} }),
  apply: ({ articles, unpaid }, event) => {
    if (event.kind === 'item-added') {
      const { article, quantity, cents } = event;
      unpaid[event.order] = [...(unpaid[event.order] ?? []), { article, quantity, cents: quantity * cents }];
      return;
    }
    for (const { article, quantity, cents } of event.kind === 'paid' ? (unpaid[event.order] ?? []) : []) {
      const sold = articles[article] ?? { quantity: 0, cents: 0 };
      articles[article] = { quantity: sold.quantity + quantity, cents: sold.cents + cents };
    }
    delete unpaid[event.order];
  },
};

/** How many orders there are in each status. */
export interface Board {
  placed: number;
  paid: number;
  shipped: number;
  cancelled: number;
}

export const board: Projection<Board> = {
  name: 'board',
  types: [TYPES.placed, TYPES.paid, TYPES.shipped, TYPES.cancelled],
  empty: () => ({ placed: 0, paid: 0, shipped: 0, cancelled: 0 }),
  apply: (counts, { kind }) => {
    if (kind === 'item-added') return;
    counts[kind]++;
    if (kind === 'paid' || kind === 'cancelled') counts.placed--;
    if (kind === 'shipped') counts.paid--;
  },
};
