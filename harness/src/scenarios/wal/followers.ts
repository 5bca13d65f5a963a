import { FileName, WalError } from '@walstack/codec';
import type { ProcessRun, SimulatedDisk } from '@walstack/storage-io/simulation';
import type { LogNote } from '../../model/knowledge.js';
import { ModelledFollower } from '../../model/modelled-follower.js';
import type { ModelledLog } from '../../model/modelled-log.js';
import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'followers with a name beside truncation: what they have not acknowledged stays, over every crash',
  weight: 2,
  modes: ['blocking', 'ring-4', 'pool'],
  config: { segmentBytes: 1024 },
  async run(log, run) {
    await log.open();
    const append = async (): Promise<void> => {
      for (let record = 0; record < 4; record++) log.append(100 + Math.floor(log.random() * 400));
      await log.sync();
    };
    await append();
    const first = await ModelledFollower.begin(run, 'first', 'first');
    await first?.end();
    for (let round = 0; round < 3; round++) {
      await append();
      if (log.random() < 0.3) await log.open();
      // A new one comes while the log is being truncated, and one goes on.
      const { firstLsn, nextLsn } = log.wal;
      const from = firstLsn + Math.floor(log.random() * (nextLsn - firstLsn));
      const truncating = log.truncate(0.5 + log.random() / 2, false);
      truncating.catch(() => {});
      for (let turn = 0; turn < log.random() * 6; turn++) await new Promise(setImmediate);
      const late = await ModelledFollower.begin(run, `late-${round}`, from);
      const stored = await ModelledFollower.begin(run, 'first', 'stored');
      await truncating;
      if (stored !== undefined) {
        const taken = await stored.take();
        const acknowledging = stored.acknowledge(taken);
        acknowledging.catch(() => {});
        await log.truncate(log.random(), false);
        await acknowledging;
        await stored.end();
      }
      await late?.end();
      if (late !== undefined && log.random() < 0.5) await log.removeFollower(`late-${round}`);
      await (round === 0 ? withoutRoomForPositions(log, run) : giveUpWithoutRoom(log, run, `new-${round}`));
      await log.truncate(log.random());
    }
  },
};

const diskOf = ({ disks }: ProcessRun<LogNote>): SimulatedDisk => disks[0] as SimulatedDisk;

/** A follower goes on while the disk is full to the last block: its file has the room for that. */
async function withoutRoomForPositions(log: ModelledLog, run: ProcessRun<LogNote>): Promise<void> {
  const disk = diskOf(run);
  log.append(10);
  await log.sync();
  disk.capacityBytes = disk.usedBytes;
  try {
    const hasSpare = ModelledFollower.hasSpare(run, 'first');
    const follower = await ModelledFollower.begin(run, 'first', 'stored').catch((error: unknown) => {
      // An operation has failed by which the spare file was to be made, or used.
      if ((hasSpare && disk.lastFailed === undefined) || !WalError.is(error, 'WAL_NO_SPACE')) throw error;
      return undefined;
    });
    if (follower === undefined) return;
    await follower.acknowledge(follower.nextLsn - 1);
    await follower.end();
  } finally {
    disk.capacityBytes = Number.POSITIVE_INFINITY;
  }
}

/**
 * A reader comes when the log has announced a truncation, and there is no room to store that it is given up. With room it is, and
 * a new follower begins where the log does.
 */
async function giveUpWithoutRoom(log: ModelledLog, run: ProcessRun<LogNote>, name: string): Promise<void> {
  const disk = diskOf(run);
  const { wal } = log;
  const { firstLsn } = wal;
  let release: (() => void) | undefined;
  disk.failWhen(({ kind, path }) => {
    if (!path.endsWith(FileName.checkpointDraft)) return undefined;
    if (kind === 'rename') release ??= wal.keepFor(() => firstLsn);
    return release !== undefined && kind === 'write' ? 'ENOSPC' : undefined;
  });
  try {
    await log.truncate(0.9, false);
  } catch (error) {
    if (!WalError.is(error, 'WAL_NO_SPACE') || wal.failure !== undefined) throw error;
  } finally {
    disk.failWhen(undefined);
  }
  release ??= wal.keepFor(() => firstLsn);
  await log.truncate(0.9, false);
  const follower = await ModelledFollower.begin(run, name, 'first');
  if (follower !== undefined && follower.nextLsn - 1 !== wal.firstLsn) {
    throw new Error(`the log begins with ${wal.firstLsn}, and a new follower with ${follower.nextLsn - 1}`);
  }
  await follower?.end();
  await log.removeFollower(name);
  release();
}
