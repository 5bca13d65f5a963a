import { join, resolve } from 'node:path';
import { type Checkpoint, encodeCheckpoint, FileName, WalError } from '@walstack/codec';
import { stagedName } from '@walstack/codec/internal';
import { readCheckpoint, type Segment, sameId } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps } from '@walstack/storage-io';
import {
  aborted,
  Interruptible,
  makeDirectories,
  onAbort,
  replaceFile,
  syncAncestors,
} from '@walstack/storage-io/internal';
import type { CallQueues } from '../call-queues.js';
import { type Environment, newId } from '../environment.js';
import type { Settings } from '../options.js';
import { sameCheckpoint } from '../retention/checkpoint-store.js';
import type { Truncation } from '../retention/truncation.js';
import { removeNames } from '../segments/segment-file.js';
import type { SegmentWriter } from '../write/segment-writer.js';
import { type BackupList, hexOf, isSameSegment, type ListedSegment, listed, listedName } from './backup-list.js';
import type { BackupProgress, BackupReport, CheckedBackup } from './backup-options.js';
import { BackupTally } from './backup-tally.js';
import type { MadeBackups } from './made-backups.js';
import { copySegment, endsWithSegment, isIntact, linkSegment } from './stage-segment.js';
import { decide, stagedIn, switchOver } from './switch-over.js';
import {
  checkTarget,
  hasSegment,
  readEarlier,
  refuseOwnDirectory,
  refuseStagedOfOther,
  refuseUnlessEarlier,
} from './target.js';

/** What a backup needs of its log. */
export interface BackedUpLog {
  readonly environment: Environment;
  readonly settings: Settings;
  readonly calls: CallQueues;
  readonly writer: SegmentWriter;
  readonly truncation: Truncation;
  readonly madeBackups: MadeBackups;
}

/** The log at one moment: everything in it is durable. */
interface Moment {
  /** From the oldest to the newest; at least one. */
  readonly segments: readonly Segment[];
  readonly checkpoint: Checkpoint;
  /** How often the log had been cut. */
  readonly generation: number;
  /** The id of the backup. */
  readonly id: string;
  /** Lets the log be truncated again. */
  readonly release: () => void;
}

/**
 * Backs a log up into a directory, beside its writer. The files are staged there, under names that are not those of a log;
 * then it is decided that the backup consists of them, and they get their names. A crash before the decision leaves the earlier
 * backup as it was, and one behind it leaves what the next opening, or the next backup, carries out.
 */
export class Backup {
  readonly #log: BackedUpLog;
  readonly #asked: CheckedBackup;
  readonly #directory: string;
  /** Ends the backup with what `onProgress` throws: it could have the code of what is missing. */
  readonly #interruptible = new Interruptible();
  /** Whether it waits for its turn, or for the log to become durable: for a disk that may not answer. */
  #isWaiting = true;
  #logId = '';
  /** Whether segments are linked: until the file system refuses it. */
  #links: boolean;

  constructor(log: BackedUpLog, asked: CheckedBackup) {
    const { directory } = asked;
    this.#log = log;
    this.#asked = asked;
    this.#directory = log.environment.io.capabilities.realFiles ? resolve(directory) : directory;
    // A file of a log that another process writes may be reused at the same moment.
    this.#links = asked.hardLinks && !log.calls.isReadonly;
  }

  /**
   * Waits for a call of {@link make} in a queue. Where the signal is aborted while that waits, the call rejects at once: another backup
   * may take long, and a disk may not answer. The backup itself ends behind that.
   */
  awaited(call: Promise<BackupReport>): Promise<BackupReport> {
    const { signal } = this.#asked;
    if (signal === undefined) return call;
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        if (this.#isWaiting) reject(this.#aborted(signal));
      };
      let stopListening = (): void => {};
      if (signal.aborted) abort();
      else stopListening = onAbort(signal, abort);
      call.then(resolve, reject).finally(stopListening);
    });
  }

  /** Makes the backup; durable on return. */
  make(): IoRoutine<BackupReport> {
    return this.#interruptible.run(this.#make());
  }

  *#make(): IoRoutine<BackupReport> {
    this.#isWaiting = false;
    const { environment, settings } = this.#log;
    const { io } = environment;
    const directory = this.#directory;
    this.#throwIfEnded();
    refuseOwnDirectory(io, directory, settings.directory);
    if (checkTarget(io, directory) === undefined) makeDirectories(io, directory, settings.directoryMode);
    const unlock = io.lock(join(directory, FileName.lock), settings.fileMode);
    try {
      // Again, now that nothing else changes it.
      if (checkTarget(io, directory)?.backup === 'decided') yield* switchOver(io, directory);
      for (;;) {
        this.#isWaiting = true;
        const moment = yield* this.#log.calls.writes.join(() => this.#moment());
        this.#isWaiting = false;
        try {
          this.#throwIfEnded();
          return yield* this.#makeOf(moment);
        } catch (error) {
          // Files of it are gone meanwhile: it is backed up as it is now.
          if (!isOfMissing(error) || !this.#lacks(moment)) throw error;
        } finally {
          moment.release();
        }
      }
    } finally {
      unlock();
    }
  }

  /** Whether the end of the log was cut off since, or another segment has taken the place of an empty one. */
  #lacks({ generation, segments }: Moment): boolean {
    const present = new Set(this.#log.writer.segments.map(({ path }) => path));
    return this.#generation !== generation || segments.some(({ path }) => !present.has(path));
  }

  /** Makes everything durable, and takes the log as it is then; runs in the write queue. */
  *#moment(): IoRoutine<Moment> {
    const { environment, writer, truncation, madeBackups } = this.#log;
    this.#throwIfEnded();
    if (!this.#isReadonly) yield* writer.leavingOutMarks(writer.sync());
    // In the same step: nothing was written meanwhile that is not durable.
    // Where a truncation is announced at this moment, the backup has what it is to remove, and the truncation keeps that for it.
    const checkpoint = truncation.current;
    const segments = writer.segments.filter(({ header }) => header.number >= checkpoint.firstSegment);
    const firstLsn = (segments[0] as Segment).header.firstLsn;
    const id = hexOf(newId(environment));
    const endings = [truncation.keepFor(() => firstLsn), madeBackups.begin(id)];
    const release = (): void => {
      for (const end of endings) end();
    };
    return { segments, checkpoint, generation: this.#generation, id, release };
  }

  *#makeOf({ segments, checkpoint, id }: Moment): IoRoutine<BackupReport> {
    const { environment, settings, madeBackups } = this.#log;
    const { io } = environment;
    const directory = this.#directory;
    const { logId } = checkpoint;
    this.#logId = hexOf(logId);
    const { salvagedBelow = 0 } = checkpoint;
    const earlier = yield* readEarlier(io, directory, this.#logId);
    const now = segments.map(listed);
    const list: BackupList = { id, logId: this.#logId, salvagedBelow, segments: now.map(endingAs(earlier)) };
    const known = earlier && (yield* madeBackups.find(earlier.id));
    if (earlier === undefined) {
      yield* refuseStagedOfOther(io, directory, list.logId);
      yield* syncAncestors(io, directory);
    } else refuseUnlessEarlier(directory, earlier, list, known);
    const tally = new BackupTally(directory, segments, this.#asked.onProgress && this.#report);
    const staged = yield* this.#stage(segments, list, earlier, tally);
    // One that is the same, but of another copy of the log, becomes one that this log knows.
    const isOwn = known !== undefined || this.#isReadonly;
    const isUnchanged = isOwn && isSameList(earlier, list) && (yield* this.#hasCheckpoint(checkpoint));
    if (staged.size > 0 || !isUnchanged) staged.add(yield* this.#stageCheckpoint(checkpoint));
    yield* this.#removeStagedBut(staged);
    yield* ioSteps.syncDirectory(io, directory);
    // Nothing has changed since the earlier backup, and its names are durable, whatever became of the last sync of it.
    if (staged.size === 0) return tally.result;
    yield* tally.report('switch');
    this.#throwIfEnded();
    // First: every cut from now on is noted for it.
    if (!this.#isReadonly) yield* madeBackups.add(list.id);
    yield* decide(io, directory, list, settings.fileMode);
    yield* switchOver(io, directory);
    return tally.result;
  }

  /** Copies or links what the earlier backup lacks. @returns the names of the staged files that are needed */
  *#stage(
    segments: readonly Segment[],
    { salvagedBelow, segments: list }: BackupList,
    earlier: BackupList | undefined,
    tally: BackupTally,
  ): IoRoutine<Set<string>> {
    const { io } = this.#log.environment;
    yield* this.#removeDrafts();
    const files = list.map((now, index) => fileOf(segments[index] as Segment, now, index === list.length - 1));
    // First: what an earlier backup has staged of segments that the log has removed since takes room.
    yield* this.#removeStagedBut(new Set(files.map(({ stage }) => stage)));
    const present = new Map(earlier?.segments.slice(0, -1).map((segment) => [segment.number, segment]));
    const last = earlier?.segments.at(-1);
    // Then the log may have repaired a segment since, and the file here may have its damage.
    const isSalvaged = earlier?.salvagedBelow !== salvagedBelow;
    const staged = new Set<string>();
    const there = new Set(io.list(this.#directory));
    for (const { segment, now, name, stage, isNewest } of files) {
      this.#throwIfEnded();
      const isKept =
        isNewest && last !== undefined && isSameSegment(last, now)
          ? yield* this.#has(name, now)
          : !isNewest &&
            hasSameHoles(present.get(now.number), now) &&
            (yield* this.#hasAlone(name, now, segment)) &&
            (!(isSalvaged || hasLess(present.get(now.number), now)) || (yield* this.#isIntact(name, segment)));
      if (isKept) {
        yield* tally.kept(segment);
        continue;
      }
      staged.add(stage);
      // What was staged whole by a backup that has not ended: nothing says of which copy of the log, and whether before its last salvage.
      const isStaged = !isNewest && there.has(stage) && (yield* this.#hasAlone(stage, now, segment));
      if (isStaged && (yield* this.#isIntact(stage, segment))) {
        yield* tally.kept(segment);
        continue;
      }
      if (there.has(stage)) yield* removeNames(io, this.#directory, [stage]);
      yield* this.#stageSegment(segment, stage, isNewest, tally);
    }
    return staged;
  }

  *#stageSegment(segment: Segment, stage: string, isNewest: boolean, tally: BackupTally): IoRoutine<void> {
    const { environment, settings } = this.#log;
    const directory = this.#directory;
    // The newest segment is never linked: it may be written to, now or when the log is opened again.
    if (!isNewest && this.#links && endsWithSegment(environment, segment, segment.path)) {
      this.#links = linkSegment(environment, segment, join(directory, stage));
      // Read again, which lets other work go on between one link and the next.
      if (this.#links && (yield* this.#has(stage, listed(segment)))) {
        yield* tally.linked(segment);
        return;
      }
      if (this.#links) yield* removeNames(environment.io, directory, [stage]);
    }
    const { fileMode } = settings;
    const copied = (bytes: number): IoRoutine<void> => this.#copied(bytes, tally);
    const beforePiece = (): void => this.#throwIfEnded();
    yield* copySegment(environment, segment, stage, isNewest, { directory, fileMode, copied, beforePiece });
    yield* tally.copied(segment);
  }

  readonly #report = (progress: BackupProgress): IoRoutine<void> => {
    const { calls } = this.#log;
    return this.#interruptible.call(() => {
      calls.isReporting = true;
      try {
        this.#asked.onProgress?.(progress);
      } finally {
        calls.isReporting = false;
      }
    });
  };

  *#copied(bytes: number, tally: BackupTally): IoRoutine<void> {
    yield* tally.piece(bytes);
    this.#throwIfEnded();
  }

  *#stageCheckpoint(checkpoint: Checkpoint): IoRoutine<string> {
    const { environment, settings } = this.#log;
    const name = stagedName(FileName.checkpoint, false);
    const draft = join(this.#directory, FileName.checkpointDraft);
    const path = join(this.#directory, name);
    yield* replaceFile(environment.io, draft, path, encodeCheckpoint(checkpoint), settings.fileMode);
    return name;
  }

  /** Whether the earlier backup has the same checkpoint. */
  *#hasCheckpoint(checkpoint: Checkpoint): IoRoutine<boolean> {
    try {
      const found = yield* readCheckpoint(this.#log.environment.io, this.#directory);
      return sameId(found.logId, checkpoint.logId) && sameCheckpoint(found, checkpoint);
    } catch (error) {
      if (WalError.is(error, 'WAL_CORRUPT')) return false;
      throw error;
    }
  }

  /** Removes what an earlier backup has left unfinished: only staged files are used again. */
  *#removeDrafts(): IoRoutine<void> {
    const { io } = this.#log.environment;
    const drafts: readonly string[] = [FileName.nextSegment, FileName.checkpointDraft, FileName.backupDraft];
    const names = io.list(this.#directory).filter((name) => drafts.includes(name));
    yield* removeNames(io, this.#directory, names);
  }

  *#removeStagedBut(needed: ReadonlySet<string>): IoRoutine<void> {
    const { io } = this.#log.environment;
    const names = stagedIn(io, this.#directory).filter((name) => !needed.has(name));
    yield* removeNames(io, this.#directory, names);
  }

  *#has(name: string, segment: ListedSegment): IoRoutine<boolean> {
    return yield* hasSegment(this.#log.environment.io, this.#directory, name, segment, this.#logId);
  }

  /** The same, with nothing in the file that is not of the segment any more. */
  *#hasAlone(name: string, now: ListedSegment, segment: Segment): IoRoutine<boolean> {
    const { environment } = this.#log;
    return (yield* this.#has(name, now)) && endsWithSegment(environment, segment, join(this.#directory, name));
  }

  /** Whether every record of a segment can be read in a file that has its id, and is of this copy of the log. */
  *#isIntact(name: string, segment: Segment): IoRoutine<boolean> {
    return yield* isIntact(this.#log.environment, segment, join(this.#directory, name), () => this.#throwIfEnded());
  }

  /** Whether the log is only read, beside its writer or while nothing writes it: nothing of it is changed. */
  get #isReadonly(): boolean {
    return this.#log.calls.isReadonly;
  }

  get #generation(): number {
    return this.#log.writer.appended.generation;
  }

  /** @throws `WAL_ABORTED`, `WAL_CLOSED`, the failure of the log */
  #throwIfEnded(): void {
    const { calls, writer } = this.#log;
    const { signal } = this.#asked;
    calls.throwUnlessOpen();
    writer.throwIfFailed();
    if (signal?.aborted === true) throw this.#aborted(signal);
  }

  #aborted(signal: AbortSignal): WalError {
    return aborted(signal, `the backup into ${this.#directory} was aborted: what was there before is as it was`, {
      path: this.#directory,
    });
  }
}

/** A segment of the log, and the file of it in the backup. */
interface BackupFile {
  readonly segment: Segment;
  readonly now: ListedSegment;
  readonly name: string;
  /** Its name until it is decided that the backup consists of it. */
  readonly stage: string;
  readonly isNewest: boolean;
}

function fileOf(segment: Segment, now: ListedSegment, isNewest: boolean): BackupFile {
  const name = listedName(now);
  return { segment, now, name, stage: stagedName(name, isNewest), isNewest };
}

/** Whether an error may come from files that were removed, or that are used again since. */
const isOfMissing = (error: unknown): boolean => WalError.is(error) && MISSING_CODES.has(error.code);

const MISSING_CODES: ReadonlySet<string> = new Set(['WAL_NOT_FOUND', 'WAL_TRUNCATED', 'WAL_BAD_HEADER', 'WAL_CORRUPT']);

/** Whether an earlier backup has a segment with the same records lost: a salvage around damage replaces the file. */
const hasSameHoles = (before: ListedSegment | undefined, now: ListedSegment): boolean =>
  before !== undefined && JSON.stringify(before.holes) === JSON.stringify(now.holes);

/**
 * Whether an earlier backup has less of a segment: it is of another copy of the log, which was cut. Its file may end there, or have what
 * that copy has appended before the cut.
 */
const hasLess = (before: ListedSegment | undefined, now: ListedSegment): boolean =>
  before !== undefined && before.nextLsn < now.nextLsn;

/** What a backup says of a segment: where nothing but a mark was written to the newest one since, it ends as in the earlier backup. */
const endingAs =
  (earlier: BackupList | undefined) =>
  (now: ListedSegment): ListedSegment => {
    const before = earlier?.segments.at(-1);
    return before !== undefined && isSameSegment({ ...before, end: now.end }, now) ? before : now;
  };

const isSameList = (a: BackupList | undefined, b: BackupList): boolean =>
  a?.segments.length === b.segments.length && b.segments.every((segment, at) => isSameFile(a.segments[at], segment));

const isSameFile = (a: ListedSegment | undefined, b: ListedSegment): boolean => a !== undefined && isSameSegment(a, b);
