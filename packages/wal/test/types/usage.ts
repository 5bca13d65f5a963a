// What programs write, and of which types it is. Compiled and never run: by the version of TypeScript of the workspace with every
// type check, by others in types.test.ts.
import {
  channels,
  type Encoding,
  type EventMapWal,
  type InputOf,
  type MappedEvent,
  type PayloadOf,
  type RollMessage,
  type StandardSchema,
  Wal,
  type WalBuilder,
  WalError,
  type WalEvent,
  type WalFollower,
  type WalOptions,
} from '@walstack/wal';
import { expectTypeOf } from 'vitest';

interface Order {
  readonly id: number;
  readonly items: readonly string[];
}
interface Placed {
  readonly order: Order;
}
interface Paid {
  readonly cents: number;
}
interface Shop {
  1: Placed;
  2: Paid;
}

declare const dates: Encoding<Date, Date | string>;
declare const numbers: StandardSchema<string, number>;
declare const placed: StandardSchema<Placed>;

export async function encodings(): Promise<void> {
  expectTypeOf(await Wal.open('log')).toEqualTypeOf<Wal>();
  expectTypeOf(await Wal.open(new URL('file:///log'), {})).toEqualTypeOf<Wal<Uint8Array, Uint8Array | string>>();
  expectTypeOf(await Wal.open('log', { encoding: 'buffer' })).toEqualTypeOf<Wal<Buffer>>();
  expectTypeOf(await Wal.open('log', { encoding: 'utf8' })).toEqualTypeOf<Wal<string>>();
  expectTypeOf(await Wal.open('log', { encoding: 'json' })).toEqualTypeOf<Wal<unknown>>();
  expectTypeOf(await Wal.open<Order>('log', { encoding: 'json' })).toEqualTypeOf<Wal<Order, Order>>();
  expectTypeOf(await Wal.open<Order[]>('log', { encoding: 'json' })).toEqualTypeOf<Wal<Order[]>>();
  expectTypeOf(await Wal.open<string>('log', { encoding: 'json' })).toEqualTypeOf<Wal<string>>();
  expectTypeOf(await Wal.open('log', { encoding: dates })).toEqualTypeOf<Wal<Date, Date | string>>();
  expectTypeOf(Wal.builder('log').encoding('json')).toEqualTypeOf<WalBuilder<unknown>>();
  expectTypeOf(Wal.builder('log').encoding('json').schema(numbers)).toEqualTypeOf<WalBuilder<number, string>>();
  // @ts-expect-error there is no encoding of this name
  await Wal.open('log', { encoding: 'jsno' });
  // @ts-expect-error there is no option of this name
  await Wal.open('log', { segmentByte: 1 });
  // @ts-expect-error bytes are no orders
  await Wal.open<Order>('log');
}

export async function union(encoding: 'utf8' | 'buffer', options: WalOptions<'json' | 'utf8'>): Promise<void> {
  const wal = await Wal.open('log', { encoding });
  expectTypeOf(wal).toEqualTypeOf<Wal<string | Buffer, string>>();
  wal.append('text');
  // @ts-expect-error not with 'utf8'
  wal.append(new Uint8Array(1));
  expectTypeOf(await (await Wal.open('log', options)).read(1)).toEqualTypeOf<WalEvent<unknown> | undefined>();
  expectTypeOf<PayloadOf<'json' | typeof dates>>().toEqualTypeOf<unknown>();
  expectTypeOf<InputOf<'view' | 'utf8'>>().toEqualTypeOf<string>();
}

/** A class around a log, for any payload. */
export class Store<T> {
  readonly #wal: Wal<T>;

  private constructor(wal: Wal<T>) {
    this.#wal = wal;
  }

  static async open<T>(path: string): Promise<Store<T>> {
    return new Store(await Wal.open<T>(path, { encoding: 'json' }));
  }

  put(value: T): Promise<number> {
    return this.#wal.commit(value);
  }

  putAll(values: readonly T[]): number {
    const batch = this.#wal.batch();
    for (const value of values) batch.add(value);
    return this.#wal.appendBatch(batch);
  }

  async all(): Promise<T[]> {
    const found: T[] = [];
    for await (const { payload } of this.#wal.iterator()) found.push(payload);
    await this.#wal.replay('first', (event) => found.push(event.payload));
    return found;
  }

  follow(): WalFollower<WalEvent<T>> {
    return this.#wal.follow('first');
  }
}

export async function following(wal: Wal<Order>, batch: number | undefined): Promise<void> {
  const json = { encoding: 'json' } as const;
  expectTypeOf(Wal.follow('log', 1)).toEqualTypeOf<WalFollower<WalEvent>>();
  expectTypeOf(Wal.follow('log', 1, { batch: 9 })).toEqualTypeOf<WalFollower<readonly WalEvent[]>>();
  expectTypeOf(Wal.follow('log', 1, json)).toEqualTypeOf<WalFollower<WalEvent<unknown>>>();
  expectTypeOf(Wal.follow('log', 1, { encoding: 'utf8' })).toEqualTypeOf<WalFollower<WalEvent<string>>>();
  expectTypeOf(Wal.follow('log', 1, { encoding: dates })).toEqualTypeOf<WalFollower<WalEvent<Date>>>();
  expectTypeOf(Wal.follow<Order>('log', 1, json)).toEqualTypeOf<WalFollower<WalEvent<Order>>>();
  const batches = Wal.follow<Order>('log', 1, { encoding: 'json', batch: 100 });
  expectTypeOf(batches).toEqualTypeOf<WalFollower<readonly WalEvent<Order>[]>>();
  for await (const events of batches) expectTypeOf(events).toEqualTypeOf<readonly WalEvent<Order>[]>();
  expectTypeOf(wal.follow()).toEqualTypeOf<WalFollower<WalEvent<Order>>>();
  expectTypeOf(wal.follow(1, { batch: 9 })).toEqualTypeOf<WalFollower<readonly WalEvent<Order>[]>>();
  const either = wal.follow(1, batch === undefined ? {} : { batch });
  expectTypeOf((await either.next()).value).toEqualTypeOf<
    // biome-ignore lint/suspicious/noConfusingVoidType: it is what an iterator returns at its end.
    WalEvent<Order> | readonly WalEvent<Order>[] | void
  >();
}

export function errors(error: unknown): void {
  if (WalError.is(error)) expectTypeOf(error).toEqualTypeOf<WalError>();
  if (WalError.is(error, 'WAL_LOCKED')) expectTypeOf(error.code).toEqualTypeOf<'WAL_LOCKED'>();
  const failure = new WalError('WAL_CLOSED', '');
  if (WalError.is(failure, 'WAL_LOCKED')) return;
  expectTypeOf(failure).toEqualTypeOf<WalError>();
  // @ts-expect-error there is no code of this name
  WalError.is(error, 'WAL_LOKED');
}

export function diagnostics(): void {
  channels.roll.subscribe((message) => expectTypeOf(message).toEqualTypeOf<RollMessage>());
  channels.commit.subscribe(({ commits }) => expectTypeOf(commits).toEqualTypeOf<number>());
  for (const name of ['open', 'recover', 'recycle', 'truncate', 'caution', 'error'] as const) {
    channels[name].subscribe(({ directory }) => expectTypeOf(directory).toEqualTypeOf<string>());
  }
}

export async function schemas(): Promise<void> {
  const wal = await Wal.open('log', { encoding: 'json', schema: numbers });
  expectTypeOf(wal).toEqualTypeOf<Wal<number, string>>();
  // @ts-expect-error what is read is a number, what is appended a string
  wal.append(17);
  expectTypeOf(Wal.follow('log', 1, { encoding: 'json', schema: numbers })).toEqualTypeOf<
    WalFollower<WalEvent<number>>
  >();
  // @ts-expect-error not a schema
  await Wal.open('log', { encoding: 'json', schema: {} });
}

export async function schemasByType(): Promise<void> {
  const wal = await Wal.open('log', { encoding: 'json', schemas: { 1: numbers, 2: placed } });
  expectTypeOf(wal).toEqualTypeOf<
    EventMapWal<{ readonly 1: number; readonly 2: Placed }, { readonly 1: string; readonly 2: Placed }>
  >();
  wal.append('17', { type: 1 });
  // @ts-expect-error what is appended of type 1 is a string
  wal.append(17, { type: 1 });
  // @ts-expect-error there is no schema for type 3
  wal.append('17', { type: 3 });
  await wal.replay('first', (event) => {
    if (event.type === 1) expectTypeOf(event.payload).toEqualTypeOf<number>();
    else expectTypeOf(event.payload).toEqualTypeOf<Placed>();
  });
  const follower = Wal.follow('log', 1, { encoding: 'json', schemas: { 1: numbers, 2: placed }, batch: 9 });
  expectTypeOf(follower).toEqualTypeOf<
    WalFollower<readonly MappedEvent<{ readonly 1: number; readonly 2: Placed }>[]>
  >();
  // @ts-expect-error not a schema
  await Wal.open('log', { encoding: 'json', schemas: { 1: {} } });
}

export async function eventMap(): Promise<void> {
  const wal = await Wal.open<{ 1: Placed; 2: Paid }>('log', { encoding: 'json' });
  wal.append({ cents: 5 }, { type: 2 });
  await wal.commit({ order: { id: 1, items: [] } }, { type: 1, meta: 'by anna' });
  wal.appendBatch(wal.batch().add({ cents: 5 }, { type: 2 }));
  // @ts-expect-error events of type 1 are placed orders
  wal.append({ cents: 5 }, { type: 1 });
  // @ts-expect-error without a type, it would be of type 0
  wal.append({ cents: 5 });
  // @ts-expect-error there are no events of type 3
  wal.append({ cents: 5 }, { type: 3 });
  await wal.replay('first', (event) => {
    if (event.type === 1) expectTypeOf(event.payload).toEqualTypeOf<Placed>();
    else expectTypeOf(event.payload).toEqualTypeOf<Paid>();
  });
  await wal.replay('first', ({ payload }) => expectTypeOf(payload).toEqualTypeOf<Paid>(), { types: [2] });
  for await (const { type } of wal.follow('first')) expectTypeOf(type).toEqualTypeOf<1 | 2>();
  for (const { type } of wal.iterator()) expectTypeOf(type).toEqualTypeOf<1 | 2>();
  await wal.shutdown();
  const shop = await Wal.open<Shop>('log', { encoding: 'json' });
  expectTypeOf(await shop.read(1)).toEqualTypeOf<MappedEvent<Shop> | undefined>();
  for await (const event of Wal.follow<Shop>('log', 1, { encoding: 'json' })) {
    if (event.type === 2) expectTypeOf(event.payload.cents).toEqualTypeOf<number>();
  }
  for await (const events of Wal.follow<Shop>('log', 1, { encoding: 'json', batch: 5 })) {
    expectTypeOf(events).toEqualTypeOf<readonly MappedEvent<Shop>[]>();
  }
  // A record with any number is a payload, and no map.
  const record = await Wal.open<Record<number, string>>('log', { encoding: 'json' });
  expectTypeOf(record).toEqualTypeOf<Wal<Record<number, string>>>();
}
