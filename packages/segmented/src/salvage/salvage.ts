import { basename, join } from 'node:path';
import { FileName, type Lsn, SegmentCipher, WalError } from '@walstack/codec';
import { type Link, type LogFiles, listFiles, loadKeys, withWritableFile } from '@walstack/mmap-reader/segments';
import { closeFile, type IoRoutine, ioSteps, kindOf, type StorageIo } from '@walstack/storage-io';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import { readPrefix } from '../recovery/analyze-log.js';
import { checkCore, type Opened, recoverLog, rewrite, unsteady } from '../recovery/recover.js';
import { type LsnRange, type RecoveryReport, reportOf } from '../recovery/recovery-report.js';
import { checkKeys, checkNewestKey, encryptionOf, loadCurrentKey, statementOf } from '../segments/keys.js';
import { placeCheckpoint } from '../segments/log-directory.js';
import { closingOnFailure, makeNamed, removeAll, removeDrafts } from '../segments/new-segment.js';
import { isEmpty } from '../segments/segment.js';
import { chooseQuarantine, type Move, makeQuarantine, moveAside, moveBack } from './quarantine.js';
import { readJournal, type SalvageJournal, writeJournal } from './salvage-journal.js';
import { planSalvage, type SalvagePlan } from './salvage-plan.js';
import { type Survey, segmentsOfLog, severalLogs, surveyOf } from './salvage-survey.js';

/** So often, at most, a log that was salvaged is salvaged again, as it still cannot be opened. */
const MOST_ROUNDS = 8;

/**
 * Goes on with a log of which something acknowledged is lost: with the records before that, in a new segment that says it
 * was made by salvage. No segment is overwritten or removed: what is not part of the log any more goes into quarantine.
 *
 * What it is going to do stands in the file `salvage` before anything is changed, and is gone on with after a crash. That
 * file goes into quarantine, too, when the log has been opened as the next opening is going to do it.
 *
 * @param damage - why the log cannot be opened
 * @param blocking - there is no waiting for a key service
 * @throws `WAL_CORRUPT` where it needs a `salvageLsn`; `WAL_BAD_KEY`; `WAL_BAD_HEADER`; `WAL_NO_SPACE`: with nothing changed,
 * or with the file `salvage` still there
 */
export function* salvageLog(
  world: Environment,
  settings: Settings,
  files: LogFiles,
  damage: WalError,
  blocking: boolean,
): IoRoutine<Opened> {
  const journal = yield* begin(world, settings, files, damage, blocking);
  // Where one had begun before, of which nothing can be read, the log may be half repaired: then nothing goes back.
  if (files.salvage) yield* carryOut(world, settings, journal);
  else yield* undoneOnFailure(world, settings, journal);
  return yield* finishOrGoOn(world, settings, journal, blocking);
}

/**
 * Goes on with a salvage that a crash has interrupted.
 *
 * @returns `undefined` where nothing tells any more what it was to do
 * @throws `WAL_CORRUPT` with nothing changed where there are segments of another log that it was not begun beside
 */
export function* goOnWithSalvage(
  world: Environment,
  settings: Settings,
  files: LogFiles,
  blocking: boolean,
): IoRoutine<Opened | undefined> {
  const journal = yield* readJournal(world.io, settings.directory);
  if (journal === undefined) return undefined;
  const { sound, others } = yield* segmentsOfLog(world.io, settings.directory, files, journal.logId);
  refuseOthers(world.io, settings, journal, others);
  yield* checkOwner(world.io, settings, sound, blocking);
  yield* loadCurrentKey(settings.keyRing, blocking);
  // What is there may not be durable, and a sync that failed may have dropped it: so it is written again.
  yield* makeQuarantine(world, settings.directory, journal.quarantine);
  yield* writeJournal(world.io, settings.directory, journal);
  yield* carryOut(world, settings, journal);
  return yield* finishOrGoOn(world, settings, journal, blocking);
}

/** Refuses to go on in a directory that holds another log by now, or has always held it. */
function refuseOthers(
  io: StorageIo,
  { directory }: Settings,
  { quarantine, hidden }: SalvageJournal,
  others: readonly Link[],
): void {
  const isBegun = kindOf(io, join(directory, quarantine)) === 'directory';
  const other = others.find(({ path }) => !isBegun || !hidden.includes(basename(path)));
  if (other !== undefined) throw severalLogs(join(directory, FileName.salvage), other.path);
}

const list = (io: StorageIo, { directory }: Settings): LogFiles => listFiles(io, directory);

/** Decides, and makes that durable. Nothing of the log has changed then. */
function* begin(
  world: Environment,
  settings: Settings,
  files: LogFiles,
  damage: WalError,
  blocking: boolean,
  before?: SalvageJournal,
): IoRoutine<SalvageJournal> {
  const { io } = world;
  const { directory } = settings;
  refuseTakenName(io, directory, damage);
  const { survey, plan, encryptedFrom } = yield* planAndSettle(world, settings, files, damage, blocking);
  yield* removeDrafts(world, settings, files);
  const quarantine = before?.quarantine ?? (yield* chooseQuarantine(world, directory));
  const [newest] = survey.sound.slice(-1);
  const journal = {
    quarantine,
    logId: survey.logId ?? before?.logId ?? world.randomBytes(16),
    coreId: newest === undefined ? settings.coreId : newest.header.coreId,
    // Also where there is no ring now: the salvage may be gone on with by an opening that has one.
    encryptedFrom: statementOf(plan.kept, encryptedFrom ?? encryptionOf(plan.kept), plan.nextLsn),
    damage: before?.damage ?? damage,
    segments: plan.kept.length,
    firstLsn: plan.kept[0]?.header.firstLsn ?? plan.nextLsn,
    ...decided(plan, before),
  };
  yield* writeJournal(io, directory, journal);
  return journal;
}

/** What is to be kept, made durable. */
interface Settled {
  readonly survey: Survey;
  readonly plan: SalvagePlan;
  readonly encryptedFrom: Lsn | undefined;
}

/** Plans, and makes durable what is kept: again where that has become shorter since it was read. */
function* planAndSettle(
  world: Environment,
  settings: Settings,
  files: LogFiles,
  damage: WalError,
  blocking: boolean,
): IoRoutine<Settled> {
  const { io } = world;
  const { directory } = settings;
  for (let keptBefore = Number.POSITIVE_INFINITY; ; ) {
    const survey = yield* surveyOf(io, directory, files);
    const plan = yield* planSalvage(io, directory, files, survey, damage, settings.salvageLsn);
    yield* checkOwner(io, settings, survey.sound, blocking);
    const encryptedFrom = yield* checkKeys(io, settings, plan.kept, blocking);
    yield* loadCurrentKey(settings.keyRing, blocking);
    const last = plan.kept.at(-1);
    // That a segment stands behind it will prove it durable.
    const isSettled =
      last === undefined || (yield* withWritableFile(io, last.path, (file) => rewrite(world, file, last)));
    if (isSettled) return { survey, plan, encryptedFrom };
    if (last.nextLsn >= keptBefore) throw unsteady(last);
    keptBefore = last.nextLsn;
  }
}

/** @throws `WAL_CORRUPT` where a directory has the name that salvage needs for a file */
function refuseTakenName(io: StorageIo, directory: string, damage: WalError): void {
  const path = join(directory, FileName.salvage);
  if (kindOf(io, path) !== 'directory') return;
  throw new WalError(
    'WAL_CORRUPT',
    `${damage.message}; salvage needs the name ${path} for a file, and there is a directory of that name: move it away`,
    { path, reason: 'salvage-name' },
    { cause: damage },
  );
}

/** What is given up now, and what was before, where that was not enough. */
function decided(
  { kept, number, nextLsn, from, checkpoint, hidden, lost }: SalvagePlan,
  before: SalvageJournal | undefined,
): Pick<SalvageJournal, 'number' | 'nextLsn' | 'from' | 'checkpoint' | 'hidden' | 'lost'> {
  const { firstPosition, predecessor } = from;
  return {
    number,
    nextLsn,
    from: { firstPosition, predecessor },
    checkpoint,
    hidden: [...new Set([...(before?.hidden ?? []), ...hidden])],
    lost: before === undefined ? lost : lostByBoth(before, lost, kept[0]?.header.firstLsn, nextLsn),
  };
}

/**
 * What two salvages of one log have lost, one after the other: ranges without what is kept, in order. What the first one was to
 * keep was there, also where nothing shows it any more.
 */
function lostByBoth(
  before: SalvageJournal,
  now: readonly LsnRange[],
  firstLsn: Lsn | undefined,
  nextLsn: Lsn,
): readonly LsnRange[] {
  const keptBefore = { fromLsn: before.firstLsn, toLsn: before.nextLsn - 1 };
  const outside = [keptBefore, ...before.lost, ...now]
    .flatMap(({ fromLsn, toLsn }) => [
      { fromLsn, toLsn: Math.min(toLsn, (firstLsn ?? nextLsn) - 1) },
      { fromLsn: Math.max(fromLsn, nextLsn), toLsn },
    ])
    .filter(({ fromLsn, toLsn }) => fromLsn <= toLsn)
    .sort((a, b) => a.fromLsn - b.fromLsn);
  const joined: LsnRange[] = [];
  for (const range of outside) {
    const last = joined.at(-1);
    if (last === undefined || range.fromLsn > last.toLsn + 1) joined.push(range);
    else joined[joined.length - 1] = { fromLsn: last.fromLsn, toLsn: Math.max(last.toLsn, range.toLsn) };
  }
  return joined;
}

/**
 * Checks that this opening may salvage the log: against every segment of it, not only what is kept.
 *
 * @throws `WAL_BAD_HEADER` when it belongs to another core, `WAL_BAD_KEY` without the key of its newest encrypted records
 */
function* checkOwner(io: StorageIo, settings: Settings, sound: readonly Link[], blocking: boolean): IoRoutine<void> {
  for (const link of sound) checkCore(link, settings);
  const newest = sound.findLast(({ header }) => header.encrypted);
  if (newest === undefined) return;
  const { keyId } = newest.header;
  yield* loadKeys(settings.keyRing, [keyId], blocking);
  SegmentCipher.forSegment(newest.header, settings.keyRing, newest.path);
  // Whether it is the right one, any record shows that can be read.
  for (const link of sound.filter(({ header }) => header.encrypted && header.keyId === keyId).reverse()) {
    const { segment } = yield* readPrefix(io, link, link.header.firstLsn + 1);
    if (!isEmpty(segment)) return yield* checkNewestKey(io, settings, [segment], blocking);
  }
}

/** What a salvage has changed. */
interface Done {
  readonly moved: Move[];
  /** Paths of files that are new. */
  readonly made: string[];
  /** Whether the checkpoint says by now what it is to say: the one before, which may be all that proves the loss, is gone. */
  checkpointReplaced: boolean;
}

/**
 * Carries out what was decided. Where that fails, everything is as it was before, if that can be had; else the file `salvage`
 * stays, and the next salvage goes on with it.
 */
function* undoneOnFailure(world: Environment, settings: Settings, journal: SalvageJournal): IoRoutine<void> {
  const { io } = world;
  const { directory } = settings;
  const done: Done = { moved: [], made: [], checkpointReplaced: false };
  try {
    yield* carryOut(world, settings, journal, done);
  } catch (error) {
    if (done.checkpointReplaced) throw error;
    try {
      yield* removeAll(world, done.made);
      yield* moveBack(world, directory, journal.quarantine, done.moved);
      yield* removeAll(world, [join(directory, FileName.salvage), join(directory, FileName.salvageDraft)]);
      yield* ioSteps.syncDirectory(io, directory);
    } catch {
      // The next salvage goes on with it: it is still there.
    }
    throw error;
  }
}

/** Carries out what was decided, as far as that was not done yet. */
function* carryOut(world: Environment, settings: Settings, journal: SalvageJournal, done?: Done): IoRoutine<void> {
  const { io } = world;
  const { directory } = settings;
  const { quarantine, hidden, number, nextLsn, from, logId, coreId, encryptedFrom, checkpoint } = journal;
  yield* moveAside(world, directory, quarantine, hidden, done?.moved);
  if (!list(io, settings).segments.some((segment) => segment.number >= number)) {
    yield* removeDrafts(world, settings, list(io, settings));
    const origin = { ...from, salvaged: true };
    const identity = { logId, coreId, number, firstLsn: nextLsn, encryptedFrom, from: origin };
    const { file, path } = yield* makeNamed(world, settings, identity);
    done?.made.push(path);
    if (file !== undefined) closeFile(io, file);
  }
  yield* ioSteps.syncDirectory(io, directory);
  if (checkpoint === undefined) return;
  if (kindOf(io, join(directory, FileName.checkpoint)) === 'directory') {
    yield* moveAside(world, directory, quarantine, [FileName.checkpoint], done?.moved);
  }
  yield* placeCheckpoint(io, directory, { ...checkpoint, logId });
  if (done !== undefined) done.checkpointReplaced = true;
  yield* ioSteps.syncDirectory(io, directory);
}

/** Ends the salvage; where the log still cannot be opened, it is salvaged further, with one report on all of it. */
function* finishOrGoOn(
  world: Environment,
  settings: Settings,
  decided: SalvageJournal,
  blocking: boolean,
): IoRoutine<Opened> {
  let journal = decided;
  for (let round = 1; ; round++) {
    try {
      return yield* finish(world, settings, journal, blocking);
    } catch (error) {
      if (!WalError.is(error, 'WAL_CORRUPT') || round === MOST_ROUNDS) throw error;
      journal = yield* begin(world, settings, list(world.io, settings), error, blocking, journal);
      yield* carryOut(world, settings, journal);
    }
  }
}

/** Opens the log as any other, and only then ends the salvage. */
function* finish(
  world: Environment,
  settings: Settings,
  journal: SalvageJournal,
  blocking: boolean,
): IoRoutine<Opened> {
  const { directory } = settings;
  const opened = yield* recoverLog(world, settings, list(world.io, settings), blocking);
  yield* closingOnFailure(
    world,
    opened.start.active,
    moveAside(world, directory, journal.quarantine, [FileName.salvage]),
  );
  return { ...opened, report: reportOn(settings, journal) };
}

function reportOn({ directory, recoveryMode }: Settings, journal: SalvageJournal): RecoveryReport {
  const { damage, lost, quarantine, hidden, segments, firstLsn, nextLsn } = journal;
  return reportOf({
    mode: recoveryMode,
    created: false,
    cleanlyClosed: false,
    segments,
    records: nextLsn - firstLsn,
    firstLsn,
    nextLsn,
    cutBytes: 0,
    salvage: Object.freeze({ damage, lost, quarantine: join(directory, quarantine), quarantined: hidden }),
  });
}
