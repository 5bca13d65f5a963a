import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import { followerFileNames } from '@walstack/codec/internal';
import type { ProcessRun } from '@walstack/storage-io/simulation';
import { type FollowFrom, Wal, type WalEvent, type WalFollower } from '@walstack/wal';
import { FOLLOWER, Knowledge, type LogNote } from './knowledge.js';
import { DIRECTORY } from './modelled-log.js';
import { SimulatedEnvironment } from './simulated-environment.js';

/** After so many turns of the event loop a follower that has found nothing is at the end of the log. */
const RESUME_TURNS = 100;
/** So often a follower polls, and looks whether it has to store anything: nothing of a scenario depends on either. */
const PERIOD_MS = 1000;

/** Timers of a follower: its pauses while a truncation is announced are over in the next turn of the event loop. */
function pausesPass(callback: () => void, delayMs: number): () => void {
  if (delayMs === PERIOD_MS) return () => {};
  const immediate = setImmediate(callback);
  return () => clearImmediate(immediate);
}

/**
 * A follower with a name beside a log, in a process of its own as far as the log knows: it reads the files, and stores its
 * position in one. What it has acknowledged is noted like a hold.
 */
export class ModelledFollower {
  readonly #run: ProcessRun<LogNote>;
  readonly #name: string;
  readonly #follower: WalFollower<WalEvent<unknown>>;
  /** The LSN of the next event. */
  #nextLsn: number | undefined;

  private constructor(run: ProcessRun<LogNote>, name: string, follower: WalFollower<WalEvent<unknown>>) {
    this.#run = run;
    this.#name = name;
    this.#follower = follower;
  }

  /**
   * Begins to follow a log that has the event, and takes it: from then on the log has to keep what is not acknowledged.
   *
   * @returns `undefined` when the event was removed from the log before the log knew of the follower
   */
  static async begin(run: ProcessRun<LogNote>, name: string, from: FollowFrom): Promise<ModelledFollower | undefined> {
    const { now } = new SimulatedEnvironment(run).options;
    const options = { name, io: run.io, now, setTimer: pausesPass, durableOnly: false };
    const follower = new ModelledFollower(run, name, Wal.follow(DIRECTORY, from, options));
    try {
      const lsn = await follower.take();
      // With nothing acknowledged, this is where the file says that it is.
      run.note({ kind: 'claiming', name: FOLLOWER + name, lsn });
      run.note({ kind: 'claimed', name: FOLLOWER + name, lsn });
      return follower;
    } catch (error) {
      if (typeof from !== 'number' || !WalError.is(error, 'WAL_TRUNCATED') || (error.firstLsn ?? 0) <= from)
        throw error;
      return undefined;
    }
  }

  /** Whether any follower was ever begun. */
  static areIn(notes: readonly LogNote[]): boolean {
    return notes.some((note) => note.kind === 'claiming' && note.name.startsWith(FOLLOWER));
  }

  /** Has every follower that has stored a position go on: the log has to have what comes next, if there is anything. */
  static async resumeAll(run: ProcessRun<LogNote>): Promise<void> {
    for (const [name, stored] of new Knowledge(run.notes).followers) {
      const { now } = new SimulatedEnvironment(run).options;
      let turn = 0;
      const setTimer = (callback: () => void, delayMs: number): (() => void) => {
        if (delayMs !== PERIOD_MS) turn = 0;
        return pausesPass(callback, delayMs);
      };
      const options = { name, io: run.io, now, setTimer, durableOnly: false, initially: Number.MAX_SAFE_INTEGER };
      const follower = Wal.follow(DIRECTORY, 'stored', options);
      let isDone = false;
      const taking = follower.next().finally(() => {
        isDone = true;
      });
      taking.catch(() => {});
      // At the end of the log it would wait.
      for (; turn < RESUME_TURNS && !isDone; turn++) await new Promise(setImmediate);
      await follower.return();
      const { value } = await taking;
      if (value === undefined || stored.includes(value.lsn)) continue;
      throw new Error(`lost: ${name} has stored ${stored.join(' or ')}, and goes on with ${value.lsn}`);
    }
  }

  /** The LSN of the event that comes next. */
  get nextLsn(): number {
    if (this.#nextLsn === undefined) throw new Error(`the follower ${this.#name} has taken nothing`);
    return this.#nextLsn;
  }

  /** Whether the follower with this name can be opened again on a full disk. */
  static hasSpare({ io }: ProcessRun<LogNote>, name: string): boolean {
    return io.list(join(DIRECTORY, FileName.followers)).includes(followerFileNames(name).spare);
  }

  /** Takes the next event. The log has to have it. */
  async take(): Promise<number> {
    const { value } = await this.#follower.next();
    if (value === undefined) throw new Error(`the follower ${this.#name} has ended`);
    if (this.#nextLsn !== undefined && value.lsn !== this.#nextLsn) {
      throw new Error(`lost: ${this.#name} has read up to ${this.#nextLsn - 1}, and ${value.lsn} came next`);
    }
    this.#nextLsn = value.lsn + 1;
    return value.lsn;
  }

  /** Acknowledges an event that was taken. */
  async acknowledge(lsn: number): Promise<void> {
    this.#run.note({ kind: 'claiming', name: FOLLOWER + this.#name, lsn: lsn + 1 });
    await this.#follower.acknowledge(lsn);
    this.#run.note({ kind: 'claimed', name: FOLLOWER + this.#name, lsn: lsn + 1 });
  }

  async end(): Promise<void> {
    await this.#follower.return();
  }
}
