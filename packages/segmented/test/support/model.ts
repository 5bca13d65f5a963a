import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { TestWorld } from './worlds.js';

const DIRECTORY = '/data/log';

/**
 * What a log promises, in a few lines: everything acknowledged stays, in order and byte for byte, and what else is there
 * is what was appended last under its LSN.
 */
export class ModelledLog {
  /** By LSN: the payload that must be there, or those that may be. */
  readonly #must = new Map<number, string>();
  readonly #may = new Map<number, Set<string>>();
  #acknowledged = 0;
  /** Nothing from this LSN on may have been truncated. */
  #needed = 1;
  #life = 0;
  #wal: SegmentedWal | undefined;
  readonly #config: Partial<SegmentedWalConfig>;

  constructor(config: Partial<SegmentedWalConfig> = {}) {
    this.#config = config;
  }

  /** A second one that knows the same. */
  copy(): ModelledLog {
    const copy = new ModelledLog(this.#config);
    for (const [lsn, payload] of this.#must) copy.#must.set(lsn, payload);
    for (const [lsn, payloads] of this.#may) copy.#may.set(lsn, new Set(payloads));
    copy.#acknowledged = this.#acknowledged;
    copy.#needed = this.#needed;
    copy.#life = this.#life;
    return copy;
  }

  /** Opens the log and holds everything in it against the promises. What is found is acknowledged by that. */
  open(io: StorageIo): void {
    this.#life++;
    const world = new TestWorld(this.#life);
    const wal = SegmentedWal.openSync({ directory: DIRECTORY, io, blockBytes: 512, ...world.options, ...this.#config });
    this.#wal = wal;
    if (wal.lastLsn < this.#acknowledged) {
      throw new Error(`lost: ${this.#acknowledged} was acknowledged, the log ends with ${wal.lastLsn}`);
    }
    if (wal.firstLsn > this.#needed)
      throw new Error(`lost: ${this.#needed} is needed, the log begins with ${wal.firstLsn}`);
    let expected = wal.firstLsn;
    for (const { lsn, payload } of wal.replay()) {
      if (lsn !== expected++) throw new Error(`LSN ${lsn} stands where ${expected - 1} should`);
      const text = Buffer.from(payload).toString();
      const must = this.#must.get(lsn);
      if (must === undefined ? !this.#may.get(lsn)?.has(text) : must !== text) {
        throw new Error(`LSN ${lsn} is ${text.slice(0, 20)}, which it was not`);
      }
    }
    if (expected !== wal.nextLsn) throw new Error(`replay ends before ${expected}, the log before ${wal.nextLsn}`);
    for (const { lsn, payload } of wal.replay()) this.#must.set(lsn, Buffer.from(payload).toString());
    this.#acknowledged = wal.lastLsn;
  }

  append(length: number): void {
    const wal = this.#wal as SegmentedWal;
    const payload = `${this.#life}/${wal.nextLsn}/`.padEnd(length, '#');
    const lsn = wal.append(payload);
    const payloads = this.#may.get(lsn) ?? new Set();
    this.#may.set(lsn, payloads.add(payload));
    this.#pending.push([lsn, payload]);
  }

  readonly #pending: [number, string][] = [];

  sync(): void {
    const wal = this.#wal as SegmentedWal;
    wal.syncSync();
    if (wal.durableLsn !== wal.lastLsn) throw new Error('sync did not make everything durable');
    this.#acknowledge(wal.durableLsn);
  }

  flush(): void {
    (this.#wal as SegmentedWal).flushSync();
  }

  /** Truncates so that a part of the log stays, or nothing. */
  truncate(part: number): void {
    const wal = this.#wal as SegmentedWal;
    const lsn = wal.firstLsn + Math.floor((wal.nextLsn - wal.firstLsn) * part);
    this.#needed = Math.max(this.#needed, lsn);
    wal.truncateBeforeSync(lsn);
    this.#acknowledge(wal.durableLsn);
  }

  close(): void {
    const wal = this.#wal as SegmentedWal;
    const { lastLsn } = wal;
    wal.closeSync();
    this.#acknowledge(lastLsn);
  }

  get failure(): unknown {
    return this.#wal?.failure;
  }

  #acknowledge(durableLsn: number): void {
    for (const [lsn, payload] of this.#pending) if (lsn <= durableLsn) this.#must.set(lsn, payload);
    this.#pending.splice(0, this.#pending.length, ...this.#pending.filter(([lsn]) => lsn > durableLsn));
    this.#acknowledged = Math.max(this.#acknowledged, durableLsn);
  }
}
