import { isDeepStrictEqual } from 'node:util';
import { WalError } from '@walstack/codec';
import type { OperationKind, SimulatedDisk } from '@walstack/storage-io/simulation';
import { makeKeys } from '../../model/keys.js';
import type { ModelledLog } from '../../model/modelled-log.js';
import type { Scenario } from '../../scenario.js';

/** Calls that say of a disk without room that they have changed nothing. */
const CALLS: readonly ((log: ModelledLog) => Promise<void>)[] = [
  (log) => log.truncate(1),
  (log) => log.truncate(log.random()),
  (log) => log.truncateAfter(log.someLsn()),
  (log) => log.resetTo(log.wal.nextLsn + 3),
  (log) => log.checkpoint(log.wal.lastLsn),
  (log) => log.hold('reader', log.wal.lastLsn),
  (log) => log.rotateKey(1 + Math.floor(log.random() * 3)),
];

/** Files that are made beside what is there. */
const BESIDE = /(next\.seg|checkpoint\.new)$/;

/**
 * Not syncs: the present segment, too, has the path under which it was opened, and what fails there is final. What is written
 * to it is durable before, and it need not be cut to its size.
 */
const TAKES_ROOM: readonly OperationKind[] = ['create', 'rename', 'allocate', 'write', 'durable-write', 'truncate'];

const standing = ({ wal }: ModelledLog) => {
  const { firstLsn, nextLsn, durableLsn, position, durablePosition, checkpointLsn, holds, failure } = wal;
  return { firstLsn, nextLsn, durableLsn, position, durablePosition, checkpointLsn, holds, failure };
};

/** From one of the operations on such a file on, all of them find no room while something is done. */
async function withoutRoom(
  disk: SimulatedDisk,
  failures: FailuresBeside,
  log: ModelledLog,
  call: (log: ModelledLog) => Promise<void>,
): Promise<void> {
  const before = standing(log);
  let left = Math.floor(log.random() * 4);
  disk.failWhen(({ kind, path, number }) => {
    failures.look();
    if (!TAKES_ROOM.includes(kind) || !BESIDE.test(path) || left-- > 0) return undefined;
    failures.own.add(number);
    return 'ENOSPC';
  });
  try {
    await call(log);
  } catch (error) {
    failures.look();
    if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
    if (failures.isAny && log.wal.failure !== undefined) throw log.wal.failure;
    if (!failures.isAny && !isDeepStrictEqual(standing(log), before)) {
      throw new Error(`it was ${JSON.stringify(before)} and has no room, and is ${JSON.stringify(standing(log))}`);
    }
  } finally {
    disk.failWhen(undefined);
  }
}

/** Whether anything on a disk has failed but what was to. */
class FailuresBeside {
  /** The numbers of the operations that were to fail. */
  readonly own = new Set<number>();
  isAny = false;
  readonly #disk: SimulatedDisk;

  constructor(disk: SimulatedDisk) {
    this.#disk = disk;
  }

  /** To be called at each operation: the disk knows the last one that has failed. */
  look(): void {
    const last = this.#disk.lastFailed?.number;
    this.isAny ||= last !== undefined && !this.own.has(last);
  }
}

export const scenario: Scenario = {
  about: 'a call that finds no room for a file has changed nothing, and the log goes on',
  modes: ['blocking', 'durable', 'recycling', 'ring-4', 'pool'],
  config: { keyRing: makeKeys() },
  weight: 2,
  async run(log, { disks }) {
    const [disk] = disks as readonly [SimulatedDisk];
    const failures = new FailuresBeside(disk);
    await log.open({ keyRing: makeKeys() });
    for (let round = 0; round < 4; round++) {
      log.appendSome(3, 900);
      await log.sync();
      await withoutRoom(disk, failures, log, CALLS[Math.floor(log.random() * CALLS.length)] as (typeof CALLS)[number]);
      await log.check();
      if (log.random() < 0.3) await log.open({ keyRing: makeKeys() });
    }
    log.append(10);
    await log.sync();
  },
};
