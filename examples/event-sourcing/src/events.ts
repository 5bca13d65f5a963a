import type { SchemaOutputs } from '@walstack/wal';
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

/** By the type of event: checks each one before it is appended, and again when it is read. */
const SCHEMAS = { 1: Placed, 2: z.union([ItemAdded, ItemAddedInEuros]), 3: Paid, 4: Shipped, 5: Cancelled } as const;

/** The events of the log, by their type. */
export type OrderEvents = SchemaOutputs<typeof SCHEMAS>;

/** An event, in its present form. */
export type OrderEvent = OrderEvents[keyof OrderEvents];

/** The type in the log of each kind of event: readers that need some kinds do not decode the others. */
export const TYPES = { placed: 1, 'item-added': 2, paid: 3, shipped: 4, cancelled: 5 } as const satisfies Record<
  OrderEvent['kind'],
  keyof OrderEvents
>;

/** How the log is opened and followed. */
export const LOG_OPTIONS = { encoding: 'json', schemas: SCHEMAS } as const;

/** Where the parts are, in the directory of the shop. */
export const logIn = (directory: string): string => `${directory}/log`;
