import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type EventMapWal, Wal, WalError } from '@walstack/wal';
import { readJson, writeJson } from './durable-json.js';
import { LOG_OPTIONS, logIn, type OrderEvent, type OrderEvents, TYPES } from './events.js';
import { type Command, decide, evolve, NO_ORDER, type Order } from './order.js';

/** The order has another version than was expected: something has happened since it was looked at. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError';
  readonly expectedVersion: number;
  readonly version: number;

  constructor(id: string, expectedVersion: number, version: number) {
    super(`order ${id} has version ${version}, not ${expectedVersion}: look at it again`);
    this.expectedVersion = expectedVersion;
    this.version = version;
  }
}

/** What a command has led to. */
export interface Done {
  readonly version: number;
  readonly lsn: number;
}

/** The orders up to an LSN. It only saves reading: without it, all events are read. */
interface Snapshot {
  /** Another one than {@link FORM} is not read: the orders of an earlier program say something else. */
  readonly form: number;
  readonly lsn: number;
  readonly orders: readonly (readonly [id: string, order: Order])[];
}

const FORM = 1;
const snapshotIn = (directory: string): string => join(directory, 'snapshot.json');

/** Carries out commands, one process at a time. */
export class OrderStore {
  readonly #directory: string;
  readonly #wal: EventMapWal<OrderEvents>;
  readonly #orders: Map<string, Order>;

  private constructor(directory: string, wal: EventMapWal<OrderEvents>, orders: Map<string, Order>) {
    this.#directory = directory;
    this.#wal = wal;
    this.#orders = orders;
  }

  /** Opens the store, or makes one: reads the snapshot, and the events behind it. */
  static async open(directory: string): Promise<OrderStore> {
    await mkdir(directory, { recursive: true });
    const wal = await Wal.open(logIn(directory), LOG_OPTIONS);
    try {
      const snapshot = (await readJson(snapshotIn(directory))) as Snapshot | undefined;
      const isOfUse = snapshot?.form === FORM;
      const store = new OrderStore(directory, wal, new Map(isOfUse ? snapshot.orders : []));
      await wal.replay(isOfUse ? snapshot.lsn + 1 : 'first', ({ payload }) => store.#evolve(payload));
      return store;
    } catch (error) {
      await wal.shutdown();
      throw error;
    }
  }

  /** An order, with what was decided and is not durable yet. */
  get(id: string): Order {
    return this.#orders.get(id) ?? NO_ORDER;
  }

  get size(): number {
    return this.#orders.size;
  }

  get lastLsn(): number {
    return this.#wal.lastLsn;
  }

  /**
   * Carries out a command; its event is durable when this resolves.
   *
   * An order changes when its event is appended, so that the next command is decided behind it, without waiting. That is safe: the log
   * is recovered as a prefix, and has no event without those before it.
   *
   * @param expectedVersion - what version the order must have; any, if it is not given
   * @throws ConflictError, RefusedError, and what the log throws; nothing has happened then, unless the log has failed
   */
  async execute(id: string, command: Command, expectedVersion?: number): Promise<Done> {
    for (;;) {
      const order = this.get(id);
      const { version } = order;
      if (version !== (expectedVersion ?? version)) throw new ConflictError(id, expectedVersion as number, version);
      const event = { ...decide(order, command), order: id, version: version + 1 } as OrderEvent;
      const lsn = this.#append(event);
      if (lsn !== undefined) {
        this.#evolve(event);
        await this.#wal.durable(lsn);
        return { version: event.version, lsn };
      }
      await this.#wal.ready();
      // Other commands may have come meanwhile: it is decided again.
    }
  }

  /** Writes the orders to a file, from which the next opening goes on. */
  async snapshot(): Promise<void> {
    const { lastLsn: lsn } = this.#wal;
    const orders = [...this.#orders];
    await this.#wal.durable(lsn);
    await writeJson(snapshotIn(this.#directory), { form: FORM, lsn, orders } satisfies Snapshot);
  }

  /** How far each projection is behind. */
  async lags(): Promise<readonly { readonly name: string | undefined; readonly lagRecords: number }[]> {
    return await this.#wal.followers();
  }

  async close(): Promise<void> {
    await this.#wal.shutdown();
  }

  /** @returns its LSN, or `undefined` where there is no room in memory */
  #append(event: OrderEvent): number | undefined {
    try {
      return this.#wal.append(event, { type: TYPES[event.kind] });
    } catch (error) {
      if (WalError.is(error, 'WAL_BACKPRESSURE')) return undefined;
      throw error;
    }
  }

  #evolve(event: OrderEvent): void {
    this.#orders.set(event.order, evolve(this.get(event.order), event));
  }
}
