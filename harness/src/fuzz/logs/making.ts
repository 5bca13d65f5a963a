import { Batch, SegmentedWal, type SegmentedWalConfig, type WalRecord } from '@walstack/segmented';
import { createMemoryStorageIo, type StorageIo } from '@walstack/storage-io';
import { Random } from '../../random.js';
import { DIRECTORY } from './files.js';
import { configOf, ringOf } from './known-logs.js';
import { backendOf, Killed, killAfter, type Tree, treeOn } from './trees.js';

/** A segment of the log as it is when nothing was damaged. */
interface TrueSegment {
  readonly name: string;
  /** In hexadecimal digits. */
  readonly id: string;
  readonly firstLsn: number;
  /** The last one that is part of the log. */
  readonly lastLsn: number;
}

/** A log of some runs, as the last of them left it, and all that is known of it. */
export interface History {
  readonly tree: Tree;
  /** The same directory at earlier moments. */
  readonly older: readonly Tree[];
  /** All payloads that a record with an LSN ever had. */
  readonly ever: ReadonlyMap<number, ReadonlySet<string>>;
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly segments: readonly TrueSegment[];
  /** Id of the key that it goes on with; 0 when it is in the clear. */
  readonly keyId: number;
}

/** Options of logs of histories. */
export type LogOptions = Omit<SegmentedWalConfig, 'io'> & { readonly directory: string };

/** How logs of histories are opened. */
export const optionsOf = (keyId: number, random = new Random(7)): LogOptions => ({
  ...configOf(random),
  directory: DIRECTORY,
  blockBytes: 512,
  ...(keyId > 0 ? { keyRing: ringOf(keyId) } : {}),
});

export const textOf = ({ payload }: WalRecord): string => Buffer.from(payload).toString('latin1');

/** Makes a history: what happens in its runs is left to chance from a seed. */
export class Making {
  protected readonly random: Random;
  protected keyId: number;
  readonly #number: number;
  readonly #config: LogOptions;
  readonly #ever = new Map<number, Set<string>>();
  readonly #older: Tree[] = [];
  #appended = 0;

  constructor(number: number) {
    const random = new Random(1000 + number);
    this.random = random;
    this.#number = number;
    this.keyId = number % 3 === 2 ? 1 : 0;
    this.#config = {
      ...optionsOf(0, random),
      segmentBytes: random.pick([1024, 1536, 2048, 4096]),
      firstLsn: random.pick([1, 1, 100]),
      padGroups: random.chance(0.3),
    };
  }

  make(): History {
    let io: StorageIo = createMemoryStorageIo();
    for (let runs = this.random.integer(1, 3); runs > 0; runs--) {
      this.run(io);
      io = this.between(backendOf(treeOn(io)));
    }
    const tree = treeOn(io);
    const found = this.openStrictly(backendOf(tree));
    const segments = found
      .listSegments()
      .filter(({ lastLsn }) => lastLsn !== undefined)
      .map(({ path, id, firstLsn, lastLsn = 0 }) => ({
        name: path.split('/').at(-1) as string,
        id,
        firstLsn,
        lastLsn,
      }));
    const { firstLsn, lastLsn } = found;
    return { tree, older: this.#older, ever: this.#ever, firstLsn, lastLsn, segments, keyId: this.keyId };
  }

  /** How the log is opened now. */
  protected get options(): LogOptions {
    return this.keyId > 0 ? { ...this.#config, keyRing: ringOf(this.keyId) } : this.#config;
  }

  protected openStrictly(io: StorageIo): SegmentedWal {
    return SegmentedWal.openSync({ ...this.options, io });
  }

  protected run(io: StorageIo): void {
    const { random } = this;
    const wal = SegmentedWal.openSync({ ...this.options, io });
    for (let acts = random.integer(2, 9); acts > 0; acts--) this.act(wal, io);
    if (random.chance(0.3)) {
      this.#append(wal);
      wal.flushSync();
    } else if (random.chance(0.4)) wal.closeSync();
  }

  /** What happens until the next run. */
  protected between(io: StorageIo): StorageIo {
    let left = io;
    for (let crashes = this.random.pick([0, 0, 0, 1, 2]); crashes > 0; crashes--) left = this.#crashInRecovery(left);
    return left;
  }

  protected act(wal: SegmentedWal, io: StorageIo): void {
    const { random } = this;
    const what = random.next();
    if (what < 0.55) {
      for (let count = random.integer(1, 5); count > 0; count--) this.#append(wal);
      wal.syncSync();
    } else if (what < 0.65) {
      wal.appendBatch(this.batchFor(wal));
      wal.syncSync();
    } else if (what < 0.72) wal.truncateBeforeSync(random.integer(wal.firstLsn, wal.nextLsn));
    else if (what < 0.79) wal.truncateAfterSync(random.integer(wal.firstLsn - 1, wal.lastLsn));
    else if (what < 0.81) wal.resetToSync(wal.nextLsn + random.integer(0, 5));
    else if (what < 0.87) wal.checkpointSync(random.integer(Math.max(0, wal.firstLsn - 1), wal.durableLsn));
    else if (what < 0.91) wal.holdSync(random.pick(['a', 'b']), random.integer(wal.firstLsn, wal.durableLsn + 1));
    else this.#older.push(treeOn(io));
  }

  protected batchFor(wal: SegmentedWal): Batch {
    const batch = new Batch();
    const first = wal.nextLsn;
    for (let count = this.random.integer(2, 4); count > 0; count--) batch.add(this.#payloadOf(first + batch.length));
    return batch;
  }

  #append(wal: SegmentedWal): void {
    wal.append(this.#payloadOf(wal.nextLsn));
  }

  /** No two records have the same payload. */
  #payloadOf(lsn: number): string {
    const payload = `${this.#number}.${this.#appended++}`.padEnd(this.random.pick([5, 60, 200, 420, 700]), '+');
    this.#ever.set(lsn, (this.#ever.get(lsn) ?? new Set()).add(payload));
    return payload;
  }

  #crashInRecovery(io: StorageIo): StorageIo {
    const dying = backendOf(treeOn(io));
    killAfter(dying, this.random.integer(0, 9));
    try {
      SegmentedWal.openSync({ ...this.options, io: dying });
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    }
    return backendOf(treeOn(dying));
  }
}
