import { basename, join } from 'node:path';
import { FileName, type Lsn, SegmentCipher, WalError } from '@walstack/codec';
import { type Link, type LogFiles, listFiles, loadKeys, withWritableFile } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { closeFile, kindOf } from '@walstack/storage-io/internal';
import { type Environment, newId } from '../environment.js';
import type { Settings } from '../options.js';
import { segmentNameOf } from '../quarantine/quarantined-files.js';
import { lsnsIn, readPrefix } from '../recovery/analyze-log.js';
import type { OpeningEnvironment } from '../recovery/opening-watch.js';
import { checkCore, type Opened, recoverLog, unsteady } from '../recovery/recover.js';
import { type LsnRange, type RecoveryReport, reportOf } from '../recovery/recovery-report.js';
import { rewrite } from '../recovery/repair-tail.js';
import { checkKeys, checkNewestKey, encryptionOf, loadCurrentKey, statementOf } from '../segments/keys.js';
import { writeCheckpoint } from '../segments/log-directory.js';
import { closingOnFailure, makeNamed, removeDrafts } from '../segments/new-segment.js';
import { isEmpty } from '../segments/segment.js';
import { removeAll } from '../segments/segment-file.js';
import { makeRepairs } from './holes/make-repairs.js';
import type { EarlierRepair, Repair } from './holes/repair.js';
import { planAround } from './holes/skip-plan.js';
import {
  chooseQuarantine,
  freeName,
  type Move,
  makeQuarantine,
  moveBack,
  moveNamesToQuarantine,
} from './quarantine.js';
import { limitOf, readJournal, type SalvageJournal, writeJournal } from './salvage-journal.js';
import { planSalvage, type SalvagePlan } from './salvage-plan.js';
import { type Survey, segmentsOfLog, severalLogs, surveyOf } from './salvage-survey.js';

/** How often a log is salvaged again, at most, when it still cannot be opened. */
const ROUNDS_MAX = 8;

/**
 * Salvages a log of which something acknowledged is lost: it continues behind the records before the loss, in a new segment
 * whose header marks it as created by salvage. No segment is overwritten or removed: files that are not part of the log any
 * more are moved to quarantine.
 *
 * The plan is stored in the file `salvage` before anything is changed, so that it can be completed after a crash. Finally
 * the log is opened in the ordinary way, and then that file is moved to quarantine too.
 *
 * @param damage - why the log cannot be opened
 * @param blocking - whether the call blocks, so that it cannot await a key service
 * @throws `WAL_CORRUPT` when a `salvageLsn` is needed; `WAL_BAD_KEY`; `WAL_BAD_HEADER`; `WAL_NO_SPACE`: with nothing changed,
 * or with the file `salvage` still there
 */
export function* salvageLog(
  environment: OpeningEnvironment,
  settings: Settings,
  files: LogFiles,
  damage: WalError,
  blocking: boolean,
): IoRoutine<Opened> {
  const journal = yield* begin(environment, settings, files, damage, blocking);
  // If there is an earlier salvage whose plan cannot be read, the log may be half repaired: then nothing can be undone.
  if (files.salvage) yield* carryOut(environment, settings, journal);
  else yield* carryOutOrUndo(environment, settings, journal);
  return yield* finishOrRepeat(environment, settings, journal, blocking);
}

/**
 * Completes a salvage that a crash has interrupted.
 *
 * @returns `undefined` when its plan cannot be read
 * @throws `WAL_CORRUPT` with nothing changed when there are segments of another log that are not part of the plan
 */
export function* resumeSalvage(
  environment: OpeningEnvironment,
  settings: Settings,
  files: LogFiles,
  blocking: boolean,
): IoRoutine<Opened | undefined> {
  const journal = yield* readJournal(environment.io, settings.directory);
  if (journal === undefined) return undefined;
  const { sound, others } = yield* segmentsOfLog(environment.io, settings.directory, files, journal.logId);
  refuseOthers(environment.io, settings, journal, others);
  yield* checkOwner(environment.io, settings, sound, blocking);
  yield* loadCurrentKey(settings.keyRing, blocking);
  yield* environment.watch.end();
  // The directory and the file may not be durable, and a failed sync may have dropped them: so both are written again.
  yield* makeQuarantine(environment, settings, journal.quarantine);
  yield* writeJournal(environment.io, settings, journal);
  yield* carryOut(environment, settings, journal);
  return yield* finishOrRepeat(environment, settings, journal, blocking);
}

/** @throws `WAL_CORRUPT` when the directory contains segments of another log that are not part of the plan */
function refuseOthers(
  io: StorageIo,
  { directory }: Settings,
  { quarantine, hidden, repairs }: SalvageJournal,
  others: readonly Link[],
): void {
  const isBegun = kindOf(io, join(directory, quarantine)) === 'directory';
  // One of another log may be in the place of a segment that is made again.
  const named = new Set([...hidden, ...repairs.map(({ name }) => name)]);
  const other = others.find(({ path }) => !isBegun || !named.has(basename(path)));
  if (other !== undefined) throw severalLogs(join(directory, FileName.salvage), other.path);
}

const list = (io: StorageIo, { directory }: Settings): LogFiles => listFiles(io, directory);

/** Plans the salvage and stores the plan durably. The log itself is not changed yet. */
function* begin(
  environment: OpeningEnvironment,
  settings: Settings,
  files: LogFiles,
  damage: WalError,
  blocking: boolean,
  before?: SalvageJournal,
): IoRoutine<SalvageJournal> {
  const { io } = environment;
  const { directory } = settings;
  refuseTakenName(io, directory, damage);
  const { survey, plan, encryptedFrom } = yield* planAndRewrite(environment, settings, files, damage, blocking);
  yield* removeDrafts(environment, settings, files);
  const quarantine = before?.quarantine ?? (yield* chooseQuarantine(environment, settings));
  const [newest] = survey.sound.slice(-1);
  const journal = {
    quarantine,
    logId: survey.logId ?? before?.logId ?? newId(environment),
    coreId: newest === undefined ? settings.coreId : newest.header.coreId,
    // Also without a ring: an opening that has one may complete the salvage.
    encryptedFrom: statementOf(plan.readable, encryptedFrom ?? encryptionOf(plan.readable), plan.nextLsn),
    damage: before?.damage ?? damage,
    segments: plan.kept.length,
    firstLsn: plan.kept[0]?.header.firstLsn ?? plan.nextLsn,
    ...decided(plan, before),
    repairs: namedIn(io, join(directory, quarantine), plan.repairs),
    earlier: before === undefined ? [] : earlierRepairs(before),
  };
  yield* writeJournal(io, settings, journal);
  return journal;
}

/** @throws `WAL_UNSUPPORTED` for the log of a core: other logs depend on what a hole may have held */
function refuseCore(directory: string, coreId: number | undefined): void {
  if (coreId === undefined) return;
  const why = 'a hole may have held the barrier of an epoch, or a commit, which the entries of other cores depend on';
  const what = `${directory} is the log of core ${coreId}, which is not salvaged around damage (${why})`;
  const advice = "nothing was changed; use the recoveryMode 'salvage' of PerCoreRecovery";
  throw new WalError('WAL_UNSUPPORTED', `${what}: ${advice}`, { path: directory });
}

/** The repairs of all rounds up to this one. */
function earlierRepairs(journal: SalvageJournal): readonly EarlierRepair[] {
  const now = journal.repairs.map((repair) => {
    const { name, original, header } = repair;
    return { name, original, header, limit: limitOf(journal, repair) };
  });
  return [...journal.earlier, ...now];
}

/** Repairs whose damaged files have names in quarantine that are free there. */
function namedIn(io: StorageIo, quarantine: string, repairs: readonly Repair[]): readonly Repair[] {
  const there = new Set(io.list(quarantine));
  return repairs.map((repair) => {
    const { name, original } = repair;
    return original === undefined ? repair : { ...repair, original: freeName(there, name) };
  });
}

/** A plan whose kept records are durable. */
interface DurablePlan {
  readonly survey: Survey;
  readonly plan: SalvagePlan;
  readonly encryptedFrom: Lsn | undefined;
}

/** Plans, and makes the kept records durable; repeats both if fewer of them can be read than before. */
function* planAndRewrite(
  environment: OpeningEnvironment,
  settings: Settings,
  files: LogFiles,
  damage: WalError,
  blocking: boolean,
): IoRoutine<DurablePlan> {
  const { io } = environment;
  const { directory } = settings;
  for (let keptBefore = Number.POSITIVE_INFINITY; ; ) {
    const survey = yield* surveyOf(io, directory, files);
    yield* environment.watch.beginPass('salvage', io, survey.sound);
    const { progress } = environment.watch;
    const plans = settings.recoveryMode === 'skip-corrupt' ? planAround : planSalvage;
    const plan = yield* plans(io, directory, files, survey, damage, settings.salvageLsn, progress);
    yield* checkOwner(io, settings, survey.sound, blocking);
    if (plans === planAround) refuseCore(directory, settings.coreId ?? survey.sound.at(-1)?.header.coreId);
    const encryptedFrom = yield* checkKeys(io, settings, plan.readable, blocking);
    yield* loadCurrentKey(settings.keyRing, blocking);
    yield* environment.watch.end();
    const last = plan.kept.at(-1);
    const isMadeAgain = plan.repairs.some(({ name }) => last !== undefined && name === basename(last.path));
    // The segment that will follow is a proof that everything before it is durable.
    const isSettled =
      last === undefined ||
      isMadeAgain ||
      (yield* withWritableFile(io, last.path, (file) => rewrite(environment, file, last)));
    if (isSettled) return { survey, plan, encryptedFrom };
    if (last.nextLsn >= keptBefore) throw unsteady(last);
    keptBefore = last.nextLsn;
  }
}

/** @throws `WAL_CORRUPT` when a directory has the name that salvage needs for a file */
function refuseTakenName(io: StorageIo, directory: string, damage: WalError): void {
  const path = join(directory, FileName.salvage);
  if (kindOf(io, path) !== 'directory') return;
  throw new WalError(
    'WAL_CORRUPT',
    `${damage.message}; salvage needs the name ${path} for a file, but there is a directory with this name: move it away`,
    { path, reason: 'salvage-name' },
    { cause: damage },
  );
}

/** The parts of the journal that a plan decides, combined with those of an earlier round that did not suffice. */
function decided(
  { kept, number, nextLsn, from, checkpoint, hidden, lost, repairs }: SalvagePlan,
  before: SalvageJournal | undefined,
): Pick<SalvageJournal, 'number' | 'nextLsn' | 'from' | 'checkpoint' | 'hidden' | 'lost'> {
  const { firstPosition, predecessor } = from;
  const makesHoles = [repairs, before?.repairs, before?.earlier].some((each) => each !== undefined && each.length > 0);
  return {
    number,
    nextLsn,
    from: { firstPosition, predecessor },
    checkpoint,
    hidden: [...new Set([...(before?.hidden ?? []), ...hidden])],
    lost: before === undefined ? lost : lostByBoth(before, lost, kept[0]?.header.firstLsn, nextLsn, makesHoles),
  };
}

/**
 * The records lost by two successive rounds of salvage: ranges in ascending order, without the kept records. Records that
 * the first round was going to keep existed, so they count even if no trace of them is left.
 *
 * @param makesHoles - whether one of the rounds leaves holes in what is kept, whichever mode the other one has
 */
function lostByBoth(
  before: SalvageJournal,
  now: readonly LsnRange[],
  firstLsn: Lsn | undefined,
  nextLsn: Lsn,
  makesHoles: boolean,
): readonly LsnRange[] {
  const keptBefore = { fromLsn: before.firstLsn, toLsn: before.nextLsn - 1 };
  const beside = [keptBefore, ...before.lost, ...now].flatMap(({ fromLsn, toLsn }) => [
    { fromLsn, toLsn: Math.min(toLsn, (firstLsn ?? nextLsn) - 1) },
    { fromLsn: Math.max(fromLsn, nextLsn), toLsn },
  ]);
  const outside = [...beside, ...(makesHoles ? [...before.lost, ...now] : [])]
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
 * Checks core and key against every segment of the log, not only the kept ones, before it is salvaged.
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
  // Any readable record shows whether the key is the right one.
  for (const link of sound.filter(({ header }) => header.encrypted && header.keyId === keyId).reverse()) {
    const { segment } = yield* readPrefix(io, link, link.header.firstLsn + 1);
    if (!isEmpty(segment)) return yield* checkNewestKey(io, settings, [segment], blocking);
  }
}

/** The changes that a salvage has made so far, for undoing them. */
interface Done {
  readonly moved: Move[];
  /** Paths of new files. */
  readonly made: string[];
  /** Whether the new checkpoint was written. The earlier one, which may be the only proof of the loss, is gone then. */
  checkpointReplaced: boolean;
}

/**
 * Carries out the plan. If that fails, the changes are undone if possible; else the file `salvage` remains, and the next
 * salvage completes it.
 */
function* carryOutOrUndo(environment: Environment, settings: Settings, journal: SalvageJournal): IoRoutine<void> {
  const { io } = environment;
  const { directory } = settings;
  const done: Done = { moved: [], made: [], checkpointReplaced: false };
  try {
    yield* carryOut(environment, settings, journal, done);
  } catch (error) {
    if (done.checkpointReplaced) throw error;
    try {
      yield* removeAll(io, done.made);
      yield* moveBack(environment, directory, journal.quarantine, done.moved);
      yield* removeAll(io, [join(directory, FileName.salvage), join(directory, FileName.salvageDraft)]);
      yield* ioSteps.syncDirectory(io, directory);
    } catch {
      // The file `salvage` still exists: the next salvage completes it.
    }
    throw error;
  }
}

/** Carries out the steps of the plan that are not done yet. */
function* carryOut(
  environment: Environment,
  settings: Settings,
  journal: SalvageJournal,
  done?: Done,
): IoRoutine<void> {
  const { io } = environment;
  const { directory } = settings;
  const { quarantine, hidden, number, nextLsn, from, logId, coreId, encryptedFrom, checkpoint } = journal;
  yield* moveNamesToQuarantine(environment, directory, quarantine, hidden, done?.moved);
  yield* makeRepairs(environment, settings, quarantine, journal.repairs, done);
  if (!list(io, settings).segments.some((segment) => segment.number >= number)) {
    yield* removeDrafts(environment, settings, list(io, settings));
    const origin = { ...from, salvaged: true };
    const identity = { logId, coreId, number, firstLsn: nextLsn, encryptedFrom, from: origin };
    const { file, path } = yield* makeNamed(environment, settings, identity);
    done?.made.push(path);
    if (file !== undefined) closeFile(io, file);
  }
  yield* ioSteps.syncDirectory(io, directory);
  if (checkpoint === undefined) return;
  if (kindOf(io, join(directory, FileName.checkpoint)) === 'directory') {
    yield* moveNamesToQuarantine(environment, directory, quarantine, [FileName.checkpoint], done?.moved);
  }
  yield* writeCheckpoint(io, settings, { ...checkpoint, logId });
  if (done !== undefined) done.checkpointReplaced = true;
  yield* ioSteps.syncDirectory(io, directory);
}

/** Ends the salvage. If the log still cannot be opened, it salvages again, with one report on all rounds. */
function* finishOrRepeat(
  environment: OpeningEnvironment,
  settings: Settings,
  decided: SalvageJournal,
  blocking: boolean,
): IoRoutine<Opened> {
  let journal = decided;
  for (let round = 1; ; round++) {
    try {
      return yield* finish(environment, settings, journal, blocking);
    } catch (error) {
      if (!WalError.is(error, 'WAL_CORRUPT') || round === ROUNDS_MAX) throw error;
      journal = yield* begin(environment, settings, list(environment.io, settings), error, blocking, journal);
      yield* carryOut(environment, settings, journal);
    }
  }
}

/** Recovers the log in the ordinary way, and only then ends the salvage by moving its file to quarantine. */
function* finish(
  environment: OpeningEnvironment,
  settings: Settings,
  journal: SalvageJournal,
  blocking: boolean,
): IoRoutine<Opened> {
  const { directory } = settings;
  const opened = yield* recoverLog(environment, settings, list(environment.io, settings), blocking);
  yield* closingOnFailure(
    environment,
    opened.start.active,
    moveNamesToQuarantine(environment, directory, journal.quarantine, [FileName.salvage]),
  );
  return { ...opened, report: reportOn(environment.io, settings, journal, opened.report) };
}

function reportOn(
  io: StorageIo,
  { directory, recoveryMode }: Settings,
  journal: SalvageJournal,
  { holes }: RecoveryReport,
): RecoveryReport {
  const { damage, lost, quarantine, hidden, repairs, earlier, segments, firstLsn, nextLsn } = journal;
  const originals = [...earlier, ...repairs].flatMap(({ original }) => original ?? []);
  // A segment that one round has made again, and a later one has given up, has a number appended to its name.
  const twice = new Set(hidden.filter((name) => originals.includes(name)));
  const there = io.list(join(directory, quarantine)).sort();
  const copies = there.filter((name) => twice.has(segmentNameOf(name)?.name ?? ''));
  const quarantined = [...new Set([...hidden, ...originals, ...copies])];
  return reportOf({
    mode: recoveryMode,
    created: false,
    cleanlyClosed: false,
    segments,
    records: nextLsn - firstLsn - lsnsIn(holes),
    firstLsn,
    nextLsn,
    cutBytes: 0,
    holes,
    salvage: Object.freeze({ damage, lost, quarantine: join(directory, quarantine), quarantined }),
  });
}
