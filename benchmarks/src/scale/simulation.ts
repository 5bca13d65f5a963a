import { EventQueue } from './event-queue.js';
import { Machine, Thread } from './processors.js';
import { ELECTION_S, MESSAGE_BYTES, placeOf, type Setup } from './setup.js';

/** What a cluster did. */
export interface Outcome {
  /** Records that were stored by a quorum, of all logs. */
  readonly stored: number;
  readonly recordsPerSecond: number;
  /** The most records of a log that were committed and not replicated at a time. */
  readonly lagMax: number;
  /** When no log had more than its window to be replicated any more, in seconds behind the outage; `undefined` when that did not come. */
  readonly caughtUpS: number | undefined;
  /** From the commit of a record to its acknowledgement by a quorum, in microseconds: of all records, sorted. */
  readonly latenciesUs: Float64Array;
  /** The share of the time that the machines of the servers were busy. */
  readonly serversBusy: number;
}

/** Pieces in which a server that comes back takes what it has missed. */
const CATCH_UP_RECORDS = 64;

/**
 * Simulates a cluster event by event: a record is committed, published by the thread that ships its log, stored by the leader of its
 * stream and by its followers, and acknowledged. Each step waits for its thread, and for a core of the machine of that.
 */
export function simulate(setup: Setup, seconds: number, random: () => number): Outcome {
  const { logs, writers, servers, cores, oneMachine } = setup;
  const events = new EventQueue();
  const shared = oneMachine ? new Machine(cores) : undefined;
  const machines = Array.from({ length: servers }, () => shared ?? new Machine(cores));
  const shipping = Array.from({ length: writers }, () => new Thread(events, shared ?? new Machine(cores)));
  const streams = Array.from(
    { length: logs },
    (_, log) => new Stream(setup, log, events, machines, shipping[log % writers] as Thread, random),
  );
  let caughtUpUs: number | undefined;
  const { outage } = setup;
  if (outage !== undefined) {
    events.in(outage.fromS * 1e6, () => {
      for (const stream of streams) stream.lose(0);
    });
    events.in(outage.toS * 1e6, () => {
      for (const stream of streams) stream.regain(0);
    });
    const look = (): void => {
      const isOver = events.nowUs >= outage.toS * 1e6 || setup.replicas > 1;
      if (isOver && streams.every(({ isCaughtUp }) => isCaughtUp)) caughtUpUs = events.nowUs;
      else events.in(10_000, look);
    };
    // A moment later: what waits then waits for the outage.
    events.in(outage.fromS * 1e6 + 100_000, look);
  }
  for (const stream of streams) stream.begin();
  events.run(seconds * 1e6);
  const stored = streams.reduce((sum, stream) => sum + stream.stored, 0);
  const busyUs = [...new Set(machines)].reduce((sum, { busyUs }) => sum + busyUs, 0);
  return {
    stored,
    recordsPerSecond: stored / seconds,
    lagMax: Math.max(...streams.map(({ lagMax }) => lagMax)),
    caughtUpS: caughtUpUs === undefined || outage === undefined ? undefined : caughtUpUs / 1e6 - outage.fromS,
    latenciesUs: Float64Array.from(streams.flatMap(({ latenciesUs }) => latenciesUs)).sort(),
    serversBusy: busyUs / (seconds * 1e6 * cores * new Set(machines).size),
  };
}

/** One log, its stream, and the servers that have it. */
class Stream {
  readonly #setup: Setup;
  readonly #events: EventQueue;
  readonly #shipping: Thread;
  readonly #random: () => number;
  /** Of each server that has a replica, the thread of this stream. */
  readonly #replicas: ReadonlyMap<number, Thread>;
  readonly #gone = new Set<number>();
  readonly #missed = new Map<number, number>();
  #leader: number | undefined;
  /** What was begun before the leader changed counts no more. */
  #term = 0;
  #committedUs: number[] = [];
  #published = 0;
  stored = 0;
  lagMax = 0;
  readonly latenciesUs: number[] = [];

  constructor(
    setup: Setup,
    log: number,
    events: EventQueue,
    machines: readonly Machine[],
    shipping: Thread,
    random: () => number,
  ) {
    this.#setup = setup;
    this.#events = events;
    this.#shipping = shipping;
    this.#random = random;
    const places = placeOf(log, setup);
    this.#replicas = new Map(places.map((server) => [server, new Thread(events, machines[server] as Machine)]));
    this.#leader = places[0];
  }

  get isCaughtUp(): boolean {
    return this.#leader !== undefined && this.#committedUs.length - this.stored <= this.#setup.window;
  }

  begin(): void {
    if (this.#setup.rate === Number.POSITIVE_INFINITY) this.#publish();
    else this.#commit();
  }

  /** Records are committed at random moments, so many in a second on average. */
  #commit(): void {
    this.#events.in((-Math.log(1 - this.#random()) * 1e6) / this.#setup.rate, () => {
      this.#committedUs.push(this.#events.nowUs);
      this.lagMax = Math.max(this.lagMax, this.#committedUs.length - this.stored);
      this.#publish();
      this.#commit();
    });
  }

  #publish(): void {
    const { window, rate, costs } = this.#setup;
    while (this.#leader !== undefined && this.#published - this.stored < window) {
      if (this.#published >= this.#committedUs.length) {
        if (rate !== Number.POSITIVE_INFINITY) return;
        this.#committedUs.push(this.#events.nowUs);
      }
      this.#published++;
      const term = this.#term;
      this.#shipping.add(costs.clientUs, () => {
        if (term === this.#term) this.#events.in(this.#delayUs / 2 + this.#networkUs, () => this.#lead(term));
      });
    }
  }

  get #delayUs(): number {
    const { replicas, costs } = this.#setup;
    return replicas === 1 ? costs.delayUs.alone : costs.delayUs.replicated;
  }

  get #networkUs(): number {
    const { recordBytes, networkBytes } = this.#setup;
    return ((recordBytes + MESSAGE_BYTES) * 1e6) / networkBytes;
  }

  /** The leader stores a record, and hands it to its followers. */
  #lead(term: number): void {
    if (term !== this.#term || this.#leader === undefined) return;
    const { replicas, costs } = this.#setup;
    const leaderUs = replicas === 1 ? costs.leaderUs.alone : costs.leaderUs.replicated;
    let missing = Math.floor(replicas / 2);
    const acknowledge = (): void => {
      if (missing-- === 0) this.#events.in(this.#delayUs / 2, () => this.#store(term));
    };
    this.#replicas.get(this.#leader)?.add(leaderUs, () => {
      acknowledge();
      for (const [server, thread] of this.#replicas) {
        if (server === this.#leader) continue;
        if (this.#gone.has(server)) this.#missed.set(server, (this.#missed.get(server) ?? 0) + 1);
        else this.#events.in(this.#networkUs, () => thread.add(costs.followerUs, acknowledge));
      }
    });
  }

  #store(term: number): void {
    if (term !== this.#term) return;
    this.latenciesUs.push(this.#events.nowUs - (this.#committedUs[this.stored] as number));
    this.stored++;
    this.#publish();
  }

  /** A server is gone. */
  lose(server: number): void {
    const thread = this.#replicas.get(server);
    if (thread === undefined) return;
    thread.clear();
    this.#gone.add(server);
    if (server === this.#leader) this.#elect();
  }

  /** A server is there again, with what it had before. */
  regain(server: number): void {
    const thread = this.#replicas.get(server);
    if (thread === undefined) return;
    this.#gone.delete(server);
    const missed = this.#missed.get(server) ?? 0;
    this.#missed.delete(server);
    for (let left = missed; left > 0; left -= CATCH_UP_RECORDS) {
      thread.add(Math.min(left, CATCH_UP_RECORDS) * this.#setup.costs.followerUs, () => {});
    }
    // Without a quorum nothing was elected.
    if (this.#leader === undefined && this.#replicas.size - this.#gone.size === this.#quorum) this.#become(server, 0);
  }

  get #quorum(): number {
    return Math.floor(this.#replicas.size / 2) + 1;
  }

  #elect(): void {
    this.#leader = undefined;
    this.#term++;
    const next = [...this.#replicas.keys()].find((each) => !this.#gone.has(each));
    if (next === undefined || this.#replicas.size - this.#gone.size < this.#quorum) return;
    const { least, most } = ELECTION_S;
    this.#become(next, least + this.#random() * (most - least));
  }

  /** A server leads from then on: what was not acknowledged is published again. */
  #become(server: number, inSeconds: number): void {
    const term = this.#term;
    this.#events.in(inSeconds * 1e6, () => {
      if (term !== this.#term || this.#leader !== undefined) return;
      this.#leader = server;
      this.#published = this.stored;
      this.#publish();
    });
  }
}
