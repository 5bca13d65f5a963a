import { WalError } from '@walstack/codec';
import { LogTail, type ResumePoint } from '@walstack/mmap-reader';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, MemoryDisk, type StorageIo } from '@walstack/storage-io';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { TestEnvironment } from './support/environments.js';
import { DIRECTORY } from './support/logs.js';

/** What a writer does; `at` says how much, or where. */
interface Change {
  readonly do: 'append' | 'long' | 'flush' | 'sync' | 'cut' | 'truncate' | 'reset';
  readonly at: number;
}

/** What happens before one of the calls of a look: a change of the log, or a failure that passes. */
interface Meanwhile {
  readonly call: number;
  readonly what: Change | 'fails';
}

/** A look of one of the tails for further records, of which so many are taken. */
interface Look {
  readonly do: 'look' | 'resume' | 'put-back';
  readonly tail: number;
  readonly most: number;
  readonly meanwhile: readonly Meanwhile[];
}

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

const changeOf = (what: Change['do'], weight: number) => ({
  weight,
  arbitrary: fc.record({ do: fc.constant(what), at: fraction }),
});

const change: fc.Arbitrary<Change> = fc.oneof(
  changeOf('append', 6),
  changeOf('long', 2),
  changeOf('flush', 2),
  changeOf('sync', 4),
  changeOf('cut', 3),
  changeOf('truncate', 2),
  changeOf('reset', 1),
);

const look: fc.Arbitrary<Look> = fc.record({
  do: fc.constantFrom('look', 'look', 'look', 'look', 'resume', 'put-back'),
  tail: fc.nat(3),
  most: fc.constantFrom(1, 3, 1000),
  meanwhile: fc.array(
    fc.record({
      call: fc.nat(12),
      what: fc.oneof({ weight: 3, arbitrary: change }, { weight: 1, arbitrary: fc.constant('fails' as const) }),
    }),
    { maxLength: 2 },
  ),
});

/** One record of the log, in one of its generations. */
interface Version {
  readonly text: string;
  readonly lsn: number;
  isDurable: boolean;
  wasCut: boolean;
}

const passing = new WalError('WAL_IO_FAILED', 'not now', { operation: 'open' });

/** A log, what is in it, and what has ever been. */
class Writer {
  readonly wal: SegmentedWal;
  readonly versions = new Map<string, Version>();
  #there: Version[] = [];

  constructor(disk: MemoryDisk, recycleSegments: number) {
    const io = createMemoryStorageIo({ disk });
    const sizes = { segmentBytes: 4096, blockBytes: 512, recycleSegments, markAfterMs: 0 };
    this.wal = SegmentedWal.openSync({ directory: DIRECTORY, io, ...sizes, ...new TestEnvironment().options });
  }

  get there(): readonly Version[] {
    return this.#there;
  }

  run({ do: what, at }: Change): void {
    const { wal } = this;
    const { firstLsn, lastLsn } = wal;
    const lsnAt = (extra: number): number => firstLsn + Math.floor(at * (lastLsn - firstLsn + extra));
    if (what === 'append') for (let count = 0; count <= at * 3; count++) this.#append(20);
    else if (what === 'long') this.#append(Math.floor(at * 3000));
    else if (what === 'flush') wal.flushSync();
    else if (what === 'sync') wal.syncSync();
    else if (what === 'truncate') wal.truncateBeforeSync(lsnAt(2));
    else if (what === 'reset') this.#cutTo(Math.floor(at * (lastLsn + 10)) + 1, 0, (lsn) => wal.resetToSync(lsn));
    else this.#cutTo(lsnAt(2) - 1, lsnAt(2) - 1, (lsn) => wal.truncateAfterSync(lsn));
    this.#there = this.#there.filter(({ lsn }) => lsn >= wal.firstLsn);
    for (const version of this.#there) version.isDurable ||= version.lsn <= wal.durableLsn;
  }

  #append(bytes: number): void {
    const text = `${this.versions.size} `.padEnd(bytes, '.');
    const version = { text, lsn: this.wal.append(text), isDurable: false, wasCut: false };
    this.versions.set(text, version);
    this.#there.push(version);
  }

  /** @param last - the last LSN that is left */
  #cutTo(lsn: number, last: number, cut: (lsn: number) => unknown): void {
    this.wal.syncSync();
    for (const version of this.#there) version.isDurable = true;
    if (last === 0 && lsn === this.wal.firstLsn && lsn === this.wal.nextLsn) return;
    cut(lsn);
    for (const version of this.#there) version.wasCut ||= version.lsn > last;
    this.#there = this.#there.filter((version) => version.lsn <= last);
  }
}

/** A tail beside the writer, and what it has given out. */
class Follower {
  readonly #writer: Writer;
  readonly #isTold: boolean;
  readonly #durableOnly: boolean;
  readonly #io: StorageIo;
  #meanwhile: readonly Meanwhile[] = [];
  #calls = 0;
  #tail!: LogTail;
  #free = (): void => {};
  #given: Version[] = [];
  #nextLsn: number | undefined;

  constructor(writer: Writer, disk: MemoryDisk, isTold: boolean, durableOnly: boolean) {
    this.#writer = writer;
    this.#isTold = isTold;
    this.#durableOnly = durableOnly;
    this.#io = this.#watched(createMemoryStorageIo({ disk }));
    this.#begin('first');
  }

  run({ do: what, most, meanwhile }: Look): void {
    if (what === 'resume') this.#resume();
    else if (what === 'put-back') this.#putBack();
    else this.#look(most, meanwhile);
  }

  /** Reads all there is, with nothing in between: it ends where the log does, and has what is in it. */
  end(): void {
    for (let looks = 0; looks < 60; looks++) this.#look(1000, []);
    const { there, wal } = this.#writer;
    // Of what is durable, the last record is proven only by the next one.
    const last = this.#durableOnly && !this.#isTold ? wal.lastLsn - 1 : wal.lastLsn;
    expect((this.#nextLsn ?? wal.firstLsn) - 1).toBeGreaterThanOrEqual(Math.min(last, there.at(-1)?.lsn ?? 0));
    expect(this.#given.filter(({ wasCut }) => wasCut)).toEqual([]);
    this.#free();
    this.#tail.close();
  }

  #begin(from: 'first' | ResumePoint): void {
    const { wal } = this.#writer;
    const durable = (): number => wal.durableLsn;
    const told = { durable, ...(this.#durableOnly ? { upTo: durable } : {}) };
    const tail = new LogTail(this.#io, DIRECTORY, {
      from,
      ...(this.#isTold ? told : { durableOnly: this.#durableOnly }),
    });
    const needed = typeof from === 'object' ? from.lsn : wal.firstLsn;
    this.#free = this.#isTold
      ? wal.keepFor(
          () => tail.nextLsn ?? needed,
          (lsn) => tail.cutAfter(lsn),
        )
      : () => {};
    this.#tail = tail;
    this.#nextLsn = typeof from === 'object' ? from.lsn : undefined;
  }

  #resume(): void {
    const { resumePoint } = this.#tail;
    if (resumePoint === undefined) return;
    this.#free();
    this.#tail.close();
    this.#begin(JSON.parse(JSON.stringify(resumePoint)) as ResumePoint);
  }

  #putBack(): void {
    const last = this.#given.at(-1);
    if (last === undefined || last.wasCut || this.#tail.nextLsn !== last.lsn + 1 || this.#nextLsn !== last.lsn + 1)
      return;
    this.#tail.putBack();
    this.#given.pop();
    this.#nextLsn = last.lsn;
  }

  #look(most: number, meanwhile: readonly Meanwhile[]): void {
    this.#calls = 0;
    this.#meanwhile = meanwhile;
    try {
      this.#tail.advanceSync();
      this.#meanwhile = [];
      for (let count = 0; count < most; count++) {
        const record = this.#tail.next();
        if (record === undefined) return;
        this.#take(record.lsn, Buffer.from(record.payload).toString());
      }
    } catch (error) {
      this.#meanwhile = [];
      if (error !== passing) this.#beginAgain(error);
    }
  }

  #take(lsn: number, text: string): void {
    const version = this.#writer.versions.get(text);
    if (this.#nextLsn !== undefined) expect(lsn).toBe(this.#nextLsn);
    expect(version?.lsn).toBe(lsn);
    if (this.#isTold) expect(this.#writer.there).toContain(version);
    if (this.#durableOnly) expect(version).toMatchObject({ isDurable: true });
    this.#given.push(version as Version);
    this.#nextLsn = lsn + 1;
  }

  /** Only this ends the reading of a sound log: what comes next was removed, or what was given out was cut off. */
  #beginAgain(error: unknown): void {
    if (!WalError.is(error, 'WAL_TRUNCATED')) throw error;
    const { reason, lsn = 0 } = error;
    if (reason === 'cut-back' && this.#isTold) {
      expect(this.#given.filter((version) => version.wasCut && version.lsn < lsn)).toEqual([]);
    }
    this.#given = [];
    this.#free();
    this.#tail.close();
    this.#begin('first');
  }

  #watched(io: StorageIo): StorageIo {
    return new Proxy(io, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          if (name === 'open' || name === 'list' || name === 'submitRead') this.#before(name);
          return value.apply(target, args) as unknown;
        };
      },
    });
  }

  #before(name: string): void {
    const call = this.#calls++;
    for (const each of this.#meanwhile) {
      if (each.call !== call) continue;
      if (each.what !== 'fails') this.#writer.run(each.what);
      else if (name !== 'submitRead') throw passing;
    }
  }
}

const RUNS = process.env['WALSTACK_LONG'] === undefined ? 150 : 5000;

it.each([0, 3])(
  'tails of a sound log that changes between any of their calls, with %d files for reuse',
  (recycleSegments) => {
    fc.assert(
      fc.property(fc.array(fc.oneof(change, look), { minLength: 10, maxLength: 100 }), (steps) => {
        const disk = new MemoryDisk();
        const writer = new Writer(disk, recycleSegments);
        const followers = [0, 1, 2, 3].map((kind) => new Follower(writer, disk, kind < 2, kind % 2 === 0));
        for (const step of steps) {
          if ('tail' in step) followers[step.tail]?.run(step);
          else writer.run(step);
        }
        writer.run({ do: 'sync', at: 0 });
        writer.run({ do: 'append', at: 0 });
        writer.run({ do: 'sync', at: 0 });
        for (const follower of followers) follower.end();
        writer.wal.closeSync();
      }),
      { numRuns: RUNS },
    );
  },
  600_000,
);
