import { WalError } from '@walstack/codec';
import { type CoreWalWriter, PerCoreWalManager } from '@walstack/percore';
import type { StorageIo } from '@walstack/storage-io';
import { SimulatedDisk, type SimulatedIoOptions } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { numbersFrom } from '../../../harness/test-kit/numbers.js';
import { SIMULATED_KINDS } from '../../../harness/test-kit/simulated-kinds.js';
import { KnownEntries } from './support/known-entries.js';
import { open, openStandalone } from './support/logs.js';

/**
 * Random lives of a per-core log: opened with cores that come and go, or one core alone, taking or dropping incomplete epochs, on a disk
 * that is full or fails at times, then closed, killed, or cut off from power. What was acknowledged is there, what was dropped stays dropped,
 * and no epoch begins twice.
 */

const SEEDS = Array.from({ length: process.env['WALSTACK_LONG'] === undefined ? 20 : 1000 }, (_, index) => index + 1);
const LIVES = 7;
const FAILURES = ['WAL_NO_SPACE', 'WAL_IO_FAILED'];
const CORES = [[0], [1], [0, 1], [0, 1], [0, 1, 2]];

/** How often a log was opened, and how often there was no room for that. */
interface Tally {
  opened: number;
  refused: number;
}

class Lives {
  readonly #kind: SimulatedIoOptions;
  readonly #tally: Tally;
  readonly #number: (below: number) => number;
  readonly #known = new KnownEntries();
  #disk: SimulatedDisk;
  #appended = 0;
  #isLast = false;
  /** The keys that a writer without a manager has appended in this life. */
  #alone: string[] = [];

  constructor(kind: SimulatedIoOptions, seed: number, tally: Tally) {
    this.#kind = kind;
    this.#tally = tally;
    this.#number = numbersFrom(seed);
    this.#disk = new SimulatedDisk({ seed });
  }

  /** One life after the other; in the last one nothing fails. */
  async run(): Promise<void> {
    for (let life = 0; life <= LIVES; life++) {
      this.#isLast = life === LIVES;
      this.#makeDifficult();
      const io = this.#disk.createStorageIo(this.#kind);
      if (this.#isLast || this.#number(4) > 0) await this.#liveManaged(io);
      else await this.#liveAlone(io);
      const end = this.#number(3);
      if (end === 0) this.#disk.kill(io);
      else this.#disk = this.#disk.crash(end === 1 ? 'none' : 'all');
    }
  }

  /**
   * From now on there is room for all, for some bytes, or for some operations that take room in the segments; or there is, and one
   * operation of any kind fails.
   */
  #makeDifficult(): void {
    const how = this.#isLast ? 0 : this.#number(5);
    const before = this.#number(10);
    this.#disk.capacityBytes = how === 1 ? this.#disk.usedBytes + before * 512 : Number.POSITIVE_INFINITY;
    let left = before;
    this.#disk.failWhen(({ kind, path }) => {
      if (how === 2) return left-- === 0 ? 'EIO' : undefined;
      return how > 2 && /write|create/.test(kind) && path.endsWith('.seg') && --left < 0 ? 'ENOSPC' : undefined;
    });
  }

  async #liveManaged(io: StorageIo): Promise<void> {
    const known = this.#known;
    const leaves = this.#number(2) === 0;
    let found = new Set<string>();
    let recoveredEpoch = 0;
    let manager: PerCoreWalManager;
    try {
      manager = await open(io, CORES[this.#number(CORES.length)] as number[], {
        incomplete: leaves ? 'leave' : 'take',
        recover: async (recovery) => {
          found = new Set();
          recoveredEpoch = recovery.lastEpoch;
          for await (const entry of recovery.entries({ from: 'first' })) {
            if (entry.operation === 'put') found.add(Buffer.from(entry.key).toString());
          }
        },
      });
    } catch (error) {
      this.#refused(error, FAILURES);
      this.#tally.refused++;
      if (leaves) known.mayHaveDropped();
      return;
    }
    this.#tally.opened++;
    expect(recoveredEpoch, 'the last epoch that recovery found').toBeGreaterThanOrEqual(known.lastEpoch);
    known.opened(found, leaves);
    known.lastEpoch = recoveredEpoch;
    expect(manager.epoch, 'the epoch that begins').toBeGreaterThan(recoveredEpoch);
    for (let call = this.#number(14); call > 0; call--) {
      if (this.#number(3) === 0) this.#makeDifficult();
      const { coreIds } = manager;
      const writer = manager.writer(coreIds[this.#number(coreIds.length)] as number);
      await this.#call(writer, manager);
    }
    if (this.#number(4) === 0) await this.#close(manager);
  }

  /** A writer without a manager opens the log of a core. */
  async #liveAlone(io: StorageIo): Promise<void> {
    let writer: CoreWalWriter;
    this.#alone = [];
    try {
      writer = await openStandalone(io, this.#number(3));
    } catch (error) {
      return this.#refused(error, [...FAILURES, 'WAL_STATE']);
    }
    for (let call = this.#number(8); call > 0; call--) {
      if (this.#number(3) === 0) this.#makeDifficult();
      await this.#call(writer, undefined);
    }
    if (this.#number(2) === 0) await this.#close(writer);
  }

  /** Calls that fail, fail for want of room: they promise nothing. */
  async #call(writer: CoreWalWriter, manager: PerCoreWalManager | undefined): Promise<void> {
    const known = this.#known;
    const what = this.#number(manager === undefined ? 5 : 8);
    // A writer alone makes durable what was there before as well, but what that is, is not known.
    const keys = manager === undefined ? this.#alone : known.keys(what < 5 ? writer.coreId : undefined);
    try {
      if (what < 3) this.#append(writer);
      else if (what === 3 && manager === undefined) writer.epoch += 1;
      else if (what < 5) {
        await writer.sync();
        known.promise(keys, 'durable');
      } else if (what === 5) {
        await manager?.syncAll();
        known.promise(keys, 'durable');
      } else if (what === 6 || this.#number(3) > 0) {
        await manager?.endEpoch();
        known.promise(keys, 'complete');
      } else {
        known.mayBeInCheckpoint(keys);
        await manager?.checkpoint(() => {});
        known.promise(keys, 'in a checkpoint');
      }
    } catch (error) {
      this.#refused(error, [...FAILURES, 'WAL_FAILED', 'WAL_STATE']);
    }
  }

  #append(writer: CoreWalWriter): void {
    const key = `${writer.coreId}:${this.#appended++}`;
    const { epoch } = writer;
    writer.appendPut(key, Buffer.alloc([10, 300, 1500][this.#number(3)] as number));
    this.#known.appended(key, epoch);
    this.#alone.push(key);
  }

  async #close(log: PerCoreWalManager | CoreWalWriter): Promise<void> {
    const keys = this.#known.keys();
    try {
      await log.close();
      if (log instanceof PerCoreWalManager) this.#known.promise(keys, 'complete');
    } catch (error) {
      this.#refused(error, FAILURES);
    }
  }

  #refused(error: unknown, codes: readonly string[]): void {
    if (!WalError.is(error) || !codes.includes(error.code)) throw error;
  }
}

describe.each(SIMULATED_KINDS)('on a disk that %s', (_, kind) => {
  test('lives are as a model of them says', async () => {
    const tally = { opened: 0, refused: 0 };
    for (const seed of SEEDS) {
      try {
        await new Lives(kind, seed, tally).run();
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
    }
    expect(tally.opened).toBeGreaterThan(SEEDS.length);
    expect(tally.refused).toBeGreaterThan(0);
  });
});
