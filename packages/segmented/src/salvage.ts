import { join } from 'node:path';
import { type Checkpoint, FileName, parseSegmentFileName, type SegmentHeader, type WalError } from '@walstack/codec';
import { type LogFiles, withFile } from '@walstack/mmap-reader/segments';
import { type IoRoutine, ioSteps } from '@walstack/storage-io';
import type { ActiveSegment } from './active-segment.js';
import { loweredTo, sameCheckpoint } from './checkpoint-store.js';
import { checkKeys, loadCurrentKey } from './keys.js';
import { placeCheckpoint } from './log-directory.js';
import { closingOnFailure, makeNamed, removeDrafts, syncName } from './new-segment.js';
import type { Settings } from './options.js';
import { copyToQuarantine, moveToQuarantine, quarantineOf } from './quarantine.js';
import { checkCore, type Opened } from './recovery.js';
import { type RecoveryReport, reportOf } from './recovery-report.js';
import { planSalvage, type SalvagePlan } from './salvage-plan.js';
import type { World } from './world.js';

/**
 * Goes on with a log of which something acknowledged is lost: with the records before that, in a new segment that says it
 * was made by salvage. Nothing is overwritten and nothing removed: what is not part of the log any more goes into
 * quarantine. Each step can be repeated after a crash in it.
 *
 * @param damage - why the log cannot be opened
 * @param blocking - nobody can wait for a key service
 * @throws `damage`, with nothing changed, where it needs a `salvageLsn`; `WAL_BAD_KEY`; `WAL_NO_SPACE`
 */
export function* salvageLog(
  world: World,
  settings: Settings,
  files: LogFiles,
  damage: WalError,
  blocking: boolean,
): IoRoutine<Opened> {
  const { io } = world;
  const { directory } = settings;
  const plan = yield* planSalvage(io, directory, files, damage, settings.salvageLsn);
  for (const segment of plan.kept.slice(-1)) checkCore(segment, settings);
  yield* checkKeys(io, settings, plan.kept, blocking);
  yield* loadCurrentKey(settings.keyRing, blocking);
  const first = firstSegmentOf(plan);
  if (plan.checkpoint !== undefined && first < plan.checkpoint.firstSegment) {
    // Before the new segment is there: below the first one kept, files are removed when the log is opened.
    yield* store(world, directory, { ...plan.checkpoint, firstSegment: first });
  }
  const active = yield* makeSalvaged(world, settings, files, plan);
  const checkpoint = yield* closingOnFailure(world, active, hide(world, directory, plan, active));
  return {
    start: {
      logId: active.header.logId,
      coreId: active.header.coreId,
      sealed: plan.kept,
      active,
      nextLsn: plan.nextLsn,
      nextNumber: active.header.number + 1,
      checkpoint,
      free: files.free,
    },
    report: reportOn(settings, plan, active.header, damage),
    noSpace: undefined,
  };
}

/** Makes the segment that hides what is lost; its name is durable on return. */
function* makeSalvaged(
  world: World,
  settings: Settings,
  files: LogFiles,
  { kept, nextLsn, from, header, checkpoint }: SalvagePlan,
): IoRoutine<ActiveSegment> {
  const { io } = world;
  const last = kept.at(-1);
  // That the next segment is there will prove it durable.
  if (last !== undefined) yield* withFile(io, last.path, (file) => ioSteps.datasync(io, file));
  yield* ioSteps.syncDirectory(io, settings.directory);
  yield* removeDrafts(world, settings, files);
  const newest = Math.max(...files.segments.map(({ number }) => number));
  const active = yield* makeNamed(world, settings, {
    logId: header?.logId ?? checkpoint?.logId ?? world.randomBytes(16),
    coreId: header?.coreId ?? settings.coreId,
    number: Math.max(newest + 1, checkpoint?.firstSegment ?? 1),
    firstLsn: nextLsn,
    from: { ...from, salvaged: true },
  });
  yield* syncName(world, settings, active);
  return active;
}

/**
 * Has the checkpoint go back to what is left, as one that is ahead of the log says that something is lost, and only then
 * moves away what the new segment hides.
 */
function* hide(
  world: World,
  directory: string,
  plan: SalvagePlan,
  { header }: ActiveSegment,
): IoRoutine<Checkpoint | undefined> {
  const quarantine = quarantineOf(directory, header);
  const first = firstSegmentOf(plan);
  const found = plan.checkpoint ?? { logId: header.logId, firstSegment: 1, checkpointLsn: 0, holds: {} };
  if (plan.checkpointDamaged)
    yield* copyToQuarantine(world, directory, quarantine, join(directory, FileName.checkpoint));
  // What is below the first kept segment is removed when the log is opened: that is moved away first.
  const hidesBelow = plan.hidden.some((name) => (parseSegmentFileName(name)?.number ?? 0) < first);
  let checkpoint = loweredTo(plan.nextLsn - 1, { ...found, firstSegment: hidesBelow ? found.firstSegment : first });
  const needed = plan.checkpointDamaged || !sameCheckpoint(checkpoint, found);
  if (needed) yield* store(world, directory, checkpoint);
  yield* moveToQuarantine(
    world,
    directory,
    quarantine,
    plan.hidden.map((name) => join(directory, name)),
  );
  if (checkpoint.firstSegment !== first) {
    checkpoint = { ...checkpoint, firstSegment: first };
    yield* store(world, directory, checkpoint);
  }
  return plan.checkpoint === undefined && !needed && first === found.firstSegment ? undefined : checkpoint;
}

/** Replaces the checkpoint; durable on return. */
function* store({ io }: World, directory: string, checkpoint: Checkpoint): IoRoutine<void> {
  yield* placeCheckpoint(io, directory, checkpoint);
  yield* ioSteps.syncDirectory(io, directory);
}

/** The number of the first segment that the checkpoint is to have. */
function firstSegmentOf({ kept, checkpoint }: SalvagePlan): number {
  const present = checkpoint?.firstSegment ?? 1;
  const header = kept[0]?.header;
  if (header === undefined) return present;
  const { number, predecessor } = header;
  return number < present || (predecessor !== undefined && predecessor.number >= present) ? number : present;
}

function reportOn(
  { directory, recoveryMode }: Settings,
  { kept, nextLsn, hidden, checkpointDamaged, lost }: SalvagePlan,
  header: SegmentHeader,
  damage: WalError,
): RecoveryReport {
  const firstLsn = kept[0]?.header.firstLsn ?? nextLsn;
  const quarantined = checkpointDamaged ? [...hidden, FileName.checkpoint] : hidden;
  return reportOf({
    mode: recoveryMode,
    created: false,
    cleanlyClosed: false,
    segments: kept.length,
    records: nextLsn - firstLsn,
    firstLsn,
    nextLsn,
    cutBytes: 0,
    salvage: Object.freeze({
      damage,
      lost,
      quarantine: quarantined.length === 0 ? undefined : quarantineOf(directory, header),
      quarantined,
    }),
  });
}
