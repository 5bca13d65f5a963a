import type { OrderEvent } from './events.js';

/** What a command has to know of an order. */
export interface Order {
  /** How many events its stream has. */
  readonly version: number;
  readonly status: 'none' | 'placed' | 'paid' | 'shipped' | 'cancelled';
  readonly items: number;
  readonly cents: number;
}

/** An order without events. */
export const NO_ORDER: Order = { version: 0, status: 'none', items: 0, cents: 0 };

/** What is asked for. */
export type Command =
  | { readonly do: 'place'; readonly customer: string }
  | { readonly do: 'add'; readonly article: string; readonly quantity: number; readonly cents: number }
  | { readonly do: 'pay' }
  | { readonly do: 'ship' }
  | { readonly do: 'cancel'; readonly reason: string };

/** A command that the order does not allow. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
}

/** What has happened, before it has a place in a stream. */
export type Fact = {
  [K in OrderEvent['kind']]: Omit<Extract<OrderEvent, { kind: K }>, 'order' | 'version'>;
}[OrderEvent['kind']];

/** What follows from a command. @throws RefusedError */
export function decide(order: Order, command: Command): Fact {
  switch (command.do) {
    case 'place':
      require(order.status === 'none', 'the order exists');
      return { kind: 'placed', customer: command.customer };
    case 'add': {
      require(order.status === 'placed', `items cannot be added to an order that is ${order.status}`);
      const { article, quantity, cents } = command;
      return { kind: 'item-added', article, quantity, cents };
    }
    case 'pay':
      require(order.status === 'placed', `an order that is ${order.status} cannot be paid`);
      require(order.items > 0, 'an order without items cannot be paid');
      return { kind: 'paid' };
    case 'ship':
      require(order.status === 'paid', `an order that is ${order.status} cannot be shipped`);
      return { kind: 'shipped' };
    case 'cancel':
      require(order.status === 'placed', `an order that is ${order.status} cannot be cancelled`);
      return { kind: 'cancelled', reason: command.reason };
  }
}

/** The order behind an event. */
export function evolve(order: Order, event: OrderEvent): Order {
  const { version } = event;
  if (event.kind === 'item-added') {
    const cents = order.cents + event.quantity * event.cents;
    return { ...order, version, items: order.items + event.quantity, cents };
  }
  return { ...order, version, status: event.kind };
}

function require(holds: boolean, otherwise: string): void {
  if (!holds) throw new RefusedError(otherwise);
}
