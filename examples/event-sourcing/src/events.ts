import { z } from 'zod';

/** Ids of orders and articles. */
const Id = z.string().regex(/^[a-z0-9-]{1,40}$/);

/** What each event has: the order whose stream it is in, and its number in that stream, from 1 on. */
const stream = { order: Id, version: z.int().positive() };

const Placed = z.object({ kind: z.literal('placed'), ...stream, customer: z.string().min(1) });
const article = { kind: z.literal('item-added'), ...stream, article: Id, quantity: z.int().positive() };
const ItemAdded = z.object({ ...article, cents: z.int().nonnegative() });
const Paid = z.object({ kind: z.literal('paid'), ...stream });
const Shipped = z.object({ kind: z.literal('shipped'), ...stream });
const Cancelled = z.object({ kind: z.literal('cancelled'), ...stream, reason: z.string() });

/** An item as it was stored at first, with a price in euros. It is read as what it would be today. */
const ItemAddedInEuros = z
  .object({ ...article, euros: z.number().nonnegative() })
  .transform(({ euros, ...item }) => ({ ...item, cents: Math.round(euros * 100) }));

/** Checks each event before it is appended, and again when it is read. */
const OrderEventSchema = z.union([
  z.discriminatedUnion('kind', [Placed, ItemAdded, Paid, Shipped, Cancelled]),
  ItemAddedInEuros,
]);

/** The events of the log, by their type. */
export type OrderEvents = {
  readonly 1: z.output<typeof Placed>;
  readonly 2: z.output<typeof ItemAdded>;
  readonly 3: z.output<typeof Paid>;
  readonly 4: z.output<typeof Shipped>;
  readonly 5: z.output<typeof Cancelled>;
};

/** An event, in its present form. */
export type OrderEvent = OrderEvents[keyof OrderEvents];

/** The type in the log of each kind of event: readers that need some kinds do not decode the others. */
export const TYPES = { placed: 1, 'item-added': 2, paid: 3, shipped: 4, cancelled: 5 } as const satisfies Record<
  OrderEvent['kind'],
  keyof OrderEvents
>;

/** How the log is opened and followed. */
export const LOG_OPTIONS = { encoding: 'json', schema: OrderEventSchema } as const;

/** Where the parts are, in the directory of the shop. */
export const logIn = (directory: string): string => `${directory}/log`;
