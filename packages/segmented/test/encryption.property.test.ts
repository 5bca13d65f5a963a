import { KeyRing, WalError } from '@walstack/codec';
import { LogTail, replayDirectory } from '@walstack/mmap-reader';
import { SegmentedWal, type WalRecord } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DIRECTORY } from './support/logs.js';

/** What is done with an open log; `at` says how much, or where. */
interface Step {
  readonly do: 'append' | 'sync' | 'flush' | 'rotate' | 'use' | 'truncate' | 'cut' | 'reset' | 'read';
  readonly at: number;
}

/** A log from its opening to its end. */
interface Life {
  /** Whether it is opened without a ring, as long as it never had one. */
  readonly isPlain: boolean;
  /** Whether the ring is set once the log is open, or replaced by another one: with other keys of the same numbers, where none is needed. */
  readonly setsRing: boolean;
  readonly steps: readonly Step[];
  readonly end: 'close' | 'kill' | 'power cut';
  readonly survivors: number;
}

interface Model {
  readonly lsn: number;
  readonly text: string;
  readonly isEncrypted: boolean;
  readonly isDurable: boolean;
}

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const what = fc.constantFrom<Step['do'][]>(
  ...(['append', 'append', 'append', 'append', 'sync', 'flush', 'rotate', 'use', 'truncate', 'cut', 'reset'] as const),
  'read',
  'read',
);
const life: fc.Arbitrary<Life> = fc.record({
  isPlain: fc.boolean(),
  setsRing: fc.boolean(),
  steps: fc.array(fc.record({ do: what, at: fraction }), { maxLength: 14 }),
  end: fc.constantFrom('close', 'kill', 'power cut', 'power cut'),
  survivors: fc.nat(),
});

const said = ({ lsn, payload }: WalRecord): string => `${lsn} ${Buffer.from(payload)}`;
const RUNS = process.env['WALSTACK_LONG'] === undefined ? 150 : 5000;
const sizes = { directory: DIRECTORY, segmentBytes: 4096, blockBytes: 512, markAfterMs: 0, recycleSegments: 1 };

/** A log, its keys, and what is in it. */
class Subject {
  #disk = new SimulatedDisk();
  #records: readonly Model[] = [];
  #keys = 1;
  /** What tells the keys of one ring from those of the same numbers in another. */
  #fill = 0;
  #hadRing = false;
  #appended = 0;

  live({ isPlain, setsRing, steps, end, survivors }: Life): void {
    const io = this.#disk.createStorageIo();
    const wal = this.#open(io, isPlain);
    this.#compareFound(wal);
    if (setsRing) {
      if (!this.#records.some(({ isEncrypted }) => isEncrypted)) this.#fill++;
      wal.setEncryptionRing(this.#ring());
      this.#hadRing = true;
    }
    for (const step of steps) this.#run(wal, io, step);
    if (end === 'close') {
      wal.closeSync();
      this.#allDurable();
    } else if (end === 'kill') this.#disk.kill();
    else this.#disk = this.#disk.crash(`random:${survivors}`);
  }

  /** With leave to take what is in the clear only where the newest record that is left may be. */
  #open(io: StorageIo, isPlain: boolean): SegmentedWal {
    if (isPlain && !this.#hadRing) return SegmentedWal.openSync({ ...sizes, io });
    this.#hadRing = true;
    const keyRing = this.#ring();
    try {
      return SegmentedWal.openSync({ ...sizes, io, keyRing });
    } catch (error) {
      if (!WalError.is(error, 'WAL_BAD_KEY') || error.reason !== 'plaintext') throw error;
    }
    const wal = SegmentedWal.openSync({ ...sizes, io, keyRing, allowPlaintext: true });
    expect(this.#records.findLast(({ lsn }) => lsn < wal.nextLsn)?.isEncrypted).toBe(false);
    return wal;
  }

  #ring(): KeyRing {
    const keys = Array.from({ length: this.#keys }, (_, index) => this.#key(index + 1));
    return KeyRing.of(this.#key(this.#keys), keys);
  }

  #key(id: number): { id: number; key: Uint8Array } {
    return { id, key: new Uint8Array(32).fill(id, 16).fill(this.#fill, 0, 16) };
  }

  /** A beginning of what had been appended, with all that was durable. */
  #compareFound(wal: SegmentedWal): void {
    const found = Array.from(wal.replay(), said);
    expect(found).toEqual(this.#expected.slice(0, found.length));
    expect(found.length).toBeGreaterThanOrEqual(this.#records.filter(({ isDurable }) => isDurable).length);
    this.#records = this.#records.slice(0, found.length);
    this.#allDurable();
  }

  get #expected(): string[] {
    return this.#records.map(({ lsn, text }) => `${lsn} ${text}`);
  }

  #allDurable(): void {
    this.#records = this.#records.map((record) => ({ ...record, isDurable: true }));
  }

  #run(wal: SegmentedWal, io: StorageIo, { do: step, at }: Step): void {
    const { firstLsn, nextLsn, encryptionRing: ring } = wal;
    const lsnAt = firstLsn + Math.floor(at * (nextLsn - firstLsn + 1));
    if (step === 'append') this.#append(wal, at);
    else if (step === 'read') this.#compareReaders(wal, io);
    else if (step === 'flush') wal.flushSync();
    else if (step === 'truncate') wal.truncateBeforeSync(lsnAt);
    else if (step === 'rotate' || step === 'use') {
      if (ring === undefined) return;
      ring.add(this.#key(++this.#keys));
      if (step === 'use') ring.use(this.#keys);
      else wal.rotateKeySync(this.#keys);
    } else {
      wal.syncSync();
      this.#allDurable();
      if (step === 'cut') wal.truncateAfterSync(lsnAt - 1);
      if (step === 'reset') wal.resetToSync(1 + Math.floor(at * 2 * nextLsn));
      if (step === 'reset') this.#records = [];
    }
    this.#records = this.#records.filter(({ lsn }) => lsn >= wal.firstLsn && lsn < wal.nextLsn);
  }

  #append(wal: SegmentedWal, at: number): void {
    const text = `${++this.#appended} `.padEnd(Math.floor(at * at * 2500), '.');
    const isEncrypted = wal.encryptionRing !== undefined;
    this.#records = [...this.#records, { lsn: wal.append(text), text, isEncrypted, isDurable: false }];
  }

  /** The writer reads everything; a reader with only the keys rejects plaintext that is not proven to be older. */
  #compareReaders(wal: SegmentedWal, io: StorageIo): void {
    expect(Array.from(wal.replay(), said)).toEqual(this.#expected);
    expect(followed(new LogTail(io, DIRECTORY, wal.decoding))).toEqual(this.#expected);
    const keys = this.#hadRing ? { keyRing: this.#ring() } : {};
    const readers = [
      () => followed(new LogTail(io, DIRECTORY, keys)),
      () => Array.from(replayDirectory(DIRECTORY, { ...keys, io }), said),
      () => {
        const beside = SegmentedWal.openSync({ ...sizes, ...keys, io, recoveryMode: 'readonly' });
        try {
          return Array.from(beside.replay(), said);
        } finally {
          beside.closeSync();
        }
      },
    ];
    const isUnproven = this.#hadRing && this.#records.at(-1)?.isEncrypted === false;
    const refused = expect.objectContaining({ code: 'WAL_BAD_KEY', reason: 'plaintext' });
    for (const read of readers) {
      if (isUnproven) expect(read).toThrow(refused);
      else expect(read()).toEqual(this.#expected);
    }
  }
}

function followed(tail: LogTail): string[] {
  const found: string[] = [];
  try {
    while (tail.advanceSync()) {
      for (let record = tail.next(); record !== undefined; record = tail.next()) found.push(said(record));
    }
    return found;
  } finally {
    tail.close();
  }
}

it('a log can be read with its keys, whenever it got them, through rotations, cuts and crashes', () => {
  fc.assert(
    fc.property(fc.array(life, { minLength: 1, maxLength: 5 }), (lives) => {
      const subject = new Subject();
      for (const each of lives) subject.live(each);
    }),
    { numRuns: RUNS },
  );
});
