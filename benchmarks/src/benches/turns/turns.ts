import { LogTail, replayDirectory } from '@walstack/mmap-reader';
import { CoreWalWriter, PerCoreRecovery, PerCoreWalReader } from '@walstack/percore';
import { createSyncFsStorageIo } from '@walstack/storage-io';
import { KeyRing, Wal, type WalOptions } from '@walstack/wal';
import type { Case, Contestant, Figure } from '../../case.js';
import { RECORD_BYTES } from '../../payloads/records.js';
import type { Settings } from '../../settings.js';
import { bytesOf, FRAME_BYTES, type LargeLog, makeLog, once } from './large-log.js';

const MEBIBYTE = 2 ** 20;

/** How often a timer beside a reader would like to run. */
const INTERVAL_MS = 2;

/** The longest time, and the most processor time, between two runs of a timer that would like to run every 2 ms. */
class Gaps {
  #longestMs = 0;
  #mostMs = 0;
  #last = performance.now();
  #lastMs = processorMs();
  readonly #timer = setInterval(() => this.#note(), INTERVAL_MS);

  /** Ends the timer. @returns the figures, with what has passed up to now */
  end(): Figure[] {
    clearInterval(this.#timer);
    this.#note();
    return [
      { name: 'gap', unit: 'ms', value: this.#longestMs },
      { name: 'gap processor', unit: 'ms', value: this.#mostMs },
    ];
  }

  #note(): void {
    const [now, ms] = [performance.now(), processorMs()];
    this.#longestMs = Math.max(this.#longestMs, now - this.#last);
    this.#mostMs = Math.max(this.#mostMs, ms - this.#lastMs);
    [this.#last, this.#lastMs] = [now, ms];
  }
}

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Reads everything. @returns how many records there were */
type Reading = (log: LargeLog) => Promise<number>;

/**
 * Every reader on the event loop, beside a timer of 2 ms: how much it reads in a second, and the longest time for which the
 * timer did not run.
 */
export function turns({ scratch, turnBytes }: Settings): Case[] {
  const plain = once(() => makeLog(scratch.next('log'), turnBytes, {}));
  const sealed = once(() => makeLog(scratch.next('log'), turnBytes / 8, SEALED));
  const cores = once(() => makeCores(scratch.next('percore'), turnBytes / 8));
  const of = (log: () => Promise<LargeLog>, readings: Readonly<Record<string, Reading>>): Contestant[] =>
    Object.entries(readings).map(([subject, read]) => ({ subject, measure: () => measured(log, read) }));
  const caseOf = (name: string, bytes: number, contestants: Contestant[]): Case => ({
    bench: 'turns',
    name: `${name} MiB=${Math.round(bytes / MEBIBYTE)}`,
    unit: 'bytes/s',
    contestants,
  });
  return [
    caseOf('readers', turnBytes, of(plain, READERS)),
    caseOf('encrypted and compressed', turnBytes / 8, of(sealed, SEALED_READERS)),
    caseOf('cores', turnBytes / 8, of(cores, CORE_READERS)),
  ];
}

async function measured(make: () => Promise<LargeLog>, read: Reading) {
  const log = await make();
  const bytes = bytesOf(log.path);
  const gaps = new Gaps();
  const start = performance.now();
  const count = await read(log);
  const elapsedMs = performance.now() - start;
  const also = gaps.end();
  if (count !== log.records) throw new Error(`${count} records of ${log.records} were read`);
  return { value: (bytes * 1000) / elapsedMs, also };
}

const OPEN: WalOptions = { io: 'thread-pool', create: false };

async function withLog(path: string, options: WalOptions, use: (wal: Wal) => Promise<number>): Promise<number> {
  const wal = await Wal.open(path, { ...OPEN, recoveryMode: 'readonly', ...options });
  try {
    return await use(wal);
  } finally {
    await wal.shutdown();
  }
}

const recovering =
  (options: WalOptions): Reading =>
  async ({ path }) =>
    (await Wal.recover(path, { ...OPEN, recoveryMode: 'readonly', ...options })).records;

const replaying =
  (copy: boolean, options: WalOptions = {}): Reading =>
  ({ path }) =>
    withLog(path, options, (wal) => wal.replay('first', () => {}, { copy }));

const iterating =
  (options: WalOptions = {}): Reading =>
  ({ path }) =>
    withLog(path, options, async (wal) => {
      let count = 0;
      for await (const _event of wal.iterator()) count++;
      return count;
    });

const following: Reading = async ({ path, records }) => {
  let count = 0;
  for await (const _event of Wal.follow(path, 'first', { io: 'thread-pool' })) if (++count === records) break;
  return count;
};

const followingBatches: Reading = async ({ path, records }) => {
  let count = 0;
  for await (const events of Wal.follow(path, 'first', { io: 'thread-pool', batch: 10_000 })) {
    count += events.length;
    if (count === records) break;
  }
  return count;
};

const tailing: Reading = async ({ path }) => {
  const io = createSyncFsStorageIo();
  using tail = new LogTail(io, path, { copy: false });
  let count = 0;
  while (await tail.advance()) while (tail.next() !== undefined) count++;
  await io.dispose();
  return count;
};

const READERS: Readonly<Record<string, Reading>> = {
  'Wal.recover': recovering({}),
  'Wal.replay': replaying(true),
  'Wal.replay views': replaying(false),
  'Wal.iterator': iterating(),
  'Wal.follow': following,
  'Wal.follow batch': followingBatches,
  'replayDirectory for await': async ({ path }) => {
    let count = 0;
    for await (const _record of replayDirectory(path)) count++;
    return count;
  },
  'replayDirectory forEach': ({ path }) => replayDirectory(path).forEach(() => {}),
  'replayDirectory scan': ({ path }) => replayDirectory(path).scan(() => {}),
  'replayDirectory workers=1': ({ path }) => replayDirectory(path, { workers: 1 }).scan(() => {}),
  LogTail: tailing,
};

const SEALED: WalOptions = {
  keyRing: KeyRing.of({ id: 1, key: new Uint8Array(32).fill(7) }),
  compression: { codec: 'deflate', thresholdBytes: 1 },
};

const SEALED_READERS: Readonly<Record<string, Reading>> = {
  'Wal.recover': recovering(SEALED),
  'Wal.replay': replaying(true, SEALED),
  'Wal.iterator': iterating(SEALED),
};

const CORE_READERS: Readonly<Record<string, Reading>> = {
  'PerCoreRecovery.open': async ({ path }) => {
    await using recovery = await PerCoreRecovery.open({ directory: path, io: 'thread-pool' });
    return recovery.statistics.reduce((sum, { puts }) => sum + puts, 0);
  },
  'PerCoreRecovery.entries': async ({ path }) => {
    await using recovery = await PerCoreRecovery.open({ directory: path, io: 'thread-pool' });
    let count = 0;
    for await (const { operation } of recovery.entries({ from: 'first' })) if (operation === 'put') count++;
    return count;
  },
  PerCoreWalReader: async ({ path }) => {
    let count = 0;
    for (const coreId of CORES) {
      await using reader = await PerCoreWalReader.open(coreId, path, { io: 'thread-pool' });
      for await (const { operation } of reader) if (operation === 'put') count++;
    }
    return count;
  },
};

const CORES = [0, 1];

async function makeCores(path: string, bytes: number): Promise<LargeLog> {
  const entries = Math.ceil(bytes / (2 * FRAME_BYTES));
  for (const coreId of CORES) {
    const writer = await CoreWalWriter.open(coreId, path, { io: 'thread-pool' });
    for (let entry = 0; entry < entries; entry++) {
      writer.appendPut('key', 'v'.repeat(RECORD_BYTES - 40));
      if (entry % 10_000 === 0) await writer.sync();
    }
    await writer.close();
  }
  return { path, records: entries * CORES.length };
}
