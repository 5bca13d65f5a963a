import { checkInteger, checkOptions, checkPath, invalidType, type Lsn, outOfRange, WalError } from '@walstack/codec';
import {
  type AppendOptions,
  type ReadOptions,
  type RecoveryReport,
  type Replay,
  realWorld,
  SegmentedWal,
  type SegmentedWalStats,
  type WalRecord,
  type World,
} from '@walstack/segmented';
import { Admission } from './admission.js';
import { BackgroundFlush } from './background-flush.js';
import { asWalError, GroupCommit } from './group-commit.js';
import { keepBytes, keepOptions } from './kept.js';
import { Lifecycle, type WalState } from './lifecycle.js';
import { type FlushSettings, splitOptions, type WalOptions } from './options.js';

/** What a log hands back on replay. */
export type WalEvent = WalRecord;

/** Events of a log, in order, for `for await … of`, or `for … of` on a backend that can wait. */
export type WalIterator = Replay;

/** Counters and sizes of a log since it was opened. A frozen snapshot. */
export interface WalStats extends SegmentedWalStats {
  readonly state: WalState;
  readonly firstLsn: Lsn;
  readonly lastLsn: Lsn;
  readonly durableLsn: Lsn;
  /** Commits that wait for durability. */
  readonly waitingCommits: number;
  /** Commits and `ready()` calls that wait for room in memory. */
  readonly waitingForRoom: number;
}

/**
 * A write-ahead log: append events, commit them in groups, read them back in order after any crash.
 *
 * One thread owns a `Wal`. It goes through the states init → running → draining → closed, and never back.
 */
export class Wal {
  readonly #path: string;
  readonly #log: SegmentedWal;
  readonly #setTimer: World['setTimer'];
  readonly #lifecycle = new Lifecycle();
  readonly #admission = new Admission();
  readonly #commits: GroupCommit;
  readonly #background: BackgroundFlush;
  #draining: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(path: string, log: SegmentedWal, flush: FlushSettings, setTimer: World['setTimer']) {
    this.#path = path;
    this.#log = log;
    this.#setTimer = setTimer;
    this.#commits = new GroupCommit(log, this.#admission);
    this.#background = new BackgroundFlush(log, flush, setTimer, () => this.#admission.admit());
    this.#lifecycle.advance('running');
  }

  /**
   * Opens the log in a directory, recovering it, or makes a new one. What is found is durable on return.
   *
   * @param path - the directory, which is the log's alone
   * @throws `WAL_LOCKED`, `WAL_CORRUPT` (nothing is changed then), `WAL_NOT_FOUND`, `WAL_BAD_HEADER`,
   * `WAL_UNSUPPORTED_VERSION`, `WAL_BAD_KEY`, `WAL_IO_FAILED`; `TypeError` and `RangeError` for wrong options
   */
  static async open(path: string, options: WalOptions = {}): Promise<Wal> {
    const { flush, config } = splitOptions(checkPath('path', path), options);
    const log = await SegmentedWal.open(config);
    return new Wal(path, log, flush, options.setTimer ?? realWorld.setTimer);
  }

  /** The directory, as it was given. */
  get path(): string {
    return this.#path;
  }

  get state(): WalState {
    return this.#lifecycle.state;
  }

  /** The first LSN in the log; the next one to be given out when the log has no event. */
  get firstLsn(): Lsn {
    return this.#log.firstLsn;
  }

  /** The last LSN given out; `firstLsn − 1` when the log has no event. It may not be durable yet. */
  get lastLsn(): Lsn {
    return this.#log.lastLsn;
  }

  /** Everything up to this LSN survives a crash. */
  get durableLsn(): Lsn {
    return this.#log.durableLsn;
  }

  /** The failure after which nothing is accepted any more; `undefined` while there is none. */
  get failure(): WalError | undefined {
    return this.#log.failure;
  }

  /** What opening found and did. */
  get recovery(): RecoveryReport {
    return this.#log.recovery;
  }

  /**
   * Appends an event in memory. Not durable on return, and written only some milliseconds later: {@link commit} waits
   * for durability.
   *
   * @param payload - bytes, copied before the call returns, or a string, encoded as UTF-8; may be empty
   * @returns its LSN
   * @throws `WAL_BACKPRESSURE` when more is pending than `maxPendingBytes` or somebody waits for room already, see
   * {@link ready}; `WAL_TOO_LARGE`, `WAL_NO_SPACE`, `WAL_STATE`, `WAL_CLOSED`, the code of the first failure;
   * `TypeError`, `RangeError`. Nothing was appended then.
   */
  append(payload: Uint8Array | string, options?: AppendOptions): Lsn {
    this.#lifecycle.requireRunning('append');
    if (this.#admission.size > 0) throw overtaking();
    let lsn: Lsn;
    try {
      lsn = this.#log.append(payload, options);
    } catch (error) {
      if (WalError.is(error, 'WAL_BACKPRESSURE')) this.#admission.refused();
      throw error;
    }
    this.#background.appended();
    return lsn;
  }

  /**
   * Appends an event and waits until it is durable. Everyone who waits at the same time shares one write and one sync.
   * When memory is full it waits for room first, in the order of the calls, with a copy of what it was given.
   *
   * @returns its LSN, durable
   * @throws what {@link append} throws but `WAL_BACKPRESSURE`. `WAL_IO_FAILED`, `WAL_NO_SPACE` and `WAL_CLOSED` of a
   * commit that waits for durability mean that its outcome is unknown, and their `reason` is `'outcome-unknown'`.
   */
  commit(payload: Uint8Array | string, options?: AppendOptions): Promise<Lsn> {
    // Not an async function: one promise for a commit, and not three, is felt where there are many.
    try {
      this.#lifecycle.requireRunning('commit');
      const lsn = this.#admission.size > 0 ? undefined : this.#tryAppend(payload, options);
      return lsn === undefined ? this.#commitInTurn(payload, options) : this.#commits.wait(lsn);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Waits until everything up to an LSN survives a crash, and sees to it that it does. What is durable already is so in
   * any state of the log.
   *
   * @param lsn - at most `lastLsn`; that itself, 0 in a log that is empty from the start, is always allowed
   * @throws like {@link commit}
   */
  async durable(lsn: Lsn): Promise<void> {
    if (checkInteger('lsn', lsn) <= this.durableLsn) return;
    this.#lifecycle.requireOpen('durable');
    if (lsn > this.lastLsn) throw outOfRange('lsn', `at most ${this.lastLsn}, the last LSN`, lsn);
    await this.#commits.wait(lsn);
  }

  /**
   * Waits until there is room for appending again, in turn with everybody else who waits: after `append` has thrown
   * `WAL_BACKPRESSURE`, until something was written. Others may append first, so `append` can throw it again.
   */
  async ready(): Promise<void> {
    this.#lifecycle.requireRunning('ready');
    const entered = this.#admission.enter(() => this.#log.throwIfFull());
    if (this.#admission.size > 0) this.#commits.start();
    await entered;
  }

  /** Hands everything appended so far to the operating system. Not durable on return. */
  async flush(): Promise<void> {
    this.#lifecycle.requireOpen('flush');
    await this.#log.flush();
  }

  /** Makes everything appended so far durable. */
  async sync(): Promise<void> {
    this.#lifecycle.requireOpen('sync');
    await this.#log.sync();
  }

  /**
   * Hands every event from an LSN on to `f`, in order, up to what had been appended when it began.
   *
   * @param from - the first LSN wanted, or `'first'`
   * @param f - awaited when it returns a promise; what it throws ends the replay and is thrown again
   * @returns how many events there were
   * @throws `WAL_TRUNCATED` with `firstLsn`, `WAL_CORRUPT`; `RangeError` for an LSN behind the next one
   */
  async replay(from: Lsn | 'first', f: (event: WalEvent) => unknown, options: ReadOptions = {}): Promise<number> {
    this.#lifecycle.requireOpen('replay');
    if (typeof f !== 'function') throw invalidType('f', 'a function', f);
    return this.iterator(from, options).forEach(f);
  }

  /**
   * The events from an LSN on, in order, pulled one by one: `for await (const event of wal.iterator())`. Each iteration
   * goes up to what had been appended when it began, and closes itself when it is left.
   *
   * @param from - the first LSN wanted, or `'first'`, the default
   * @throws like {@link replay}
   */
  iterator(from: Lsn | 'first' = 'first', options: ReadOptions = {}): WalIterator {
    this.#lifecycle.requireOpen('iterator');
    return from === 'first' ? this.#log.replay(options) : this.#log.replayFrom(from, options);
  }

  stats(): WalStats {
    return Object.freeze({
      ...this.#log.stats(),
      state: this.state,
      firstLsn: this.firstLsn,
      lastLsn: this.lastLsn,
      durableLsn: this.durableLsn,
      waitingCommits: this.#commits.waiting,
      waitingForRoom: this.#admission.size,
    });
  }

  /**
   * Refuses new events, makes everything appended durable, serves who waits, and closes the log. Idempotent: a further
   * call gets the answer of the first one.
   *
   * @param options - `timeoutMs`: how long to wait, in milliseconds, default for ever
   * @throws `WAL_TIMEOUT`: the log is still draining; call again, or `close`. The first failure, when not everything
   * could be made durable; `WAL_CLOSED` when it was not because `close` was called meanwhile.
   */
  async shutdown(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const { timeoutMs } = checkOptions('options', options, ['timeoutMs']);
    if (timeoutMs !== undefined) checkInteger('timeoutMs', timeoutMs, 0, 0x7fff_ffff);
    if (this.#draining === undefined && this.#closing !== undefined) return this.#closing;
    this.#lifecycle.advance('draining');
    this.#draining ??= this.#drain();
    await (timeoutMs === undefined ? this.#draining : this.#withTimeout(this.#draining, timeoutMs));
  }

  /**
   * Closes the log at once: what was not handed to the operating system is dropped, and commits that wait are rejected
   * with `WAL_CLOSED`. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#closeNow();
    return this.#closing;
  }

  /** Closes the log after everything is durable: {@link shutdown}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /** Appends unless there is no room in memory. */
  #tryAppend(payload: Uint8Array | string, options: AppendOptions | undefined): Lsn | undefined {
    try {
      return this.#log.append(payload, options);
    } catch (error) {
      if (WalError.is(error, 'WAL_BACKPRESSURE')) return undefined;
      throw error;
    }
  }

  /** Commits a copy when there is room in memory. */
  async #commitInTurn(payload: Uint8Array | string, options: AppendOptions | undefined): Promise<Lsn> {
    const kept = keepBytes('payload', payload);
    const keptOptions = options === undefined ? undefined : keepOptions(options);
    const entered = this.#admission.enter(() => this.#log.append(kept, keptOptions));
    this.#commits.start();
    return this.#commits.wait(await entered);
  }

  #closeNow(): Promise<void> {
    this.#lifecycle.advance('closed');
    this.#background.stop();
    this.#commits.rejectAll(this.#closedError('the log was closed'));
    return this.#log.close({ discard: true });
  }

  async #drain(): Promise<void> {
    this.#background.stop();
    const { lastLsn } = this;
    const failure = await this.#syncEverything();
    if (this.#closing !== undefined) {
      // `close` came first. Its own failure is its caller's to hear.
      await this.#closing.catch(() => {});
      if (this.durableLsn >= lastLsn) return;
      throw this.#closedError('the log was closed before everything in it was durable');
    }
    this.#lifecycle.advance('closed');
    this.#closing = this.#log.close();
    await this.#closing;
    if (failure !== undefined) throw failure;
  }

  /** Syncs until nobody waits any more. @returns what made that impossible */
  async #syncEverything(): Promise<WalError | undefined> {
    try {
      do {
        await this.#log.sync();
        this.#commits.settle();
      } while (this.durableLsn < this.lastLsn || this.#admission.size > 0);
      return undefined;
    } catch (error) {
      return this.failure ?? asWalError(error);
    }
  }

  #closedError(message: string): WalError {
    return new WalError('WAL_CLOSED', message, { path: this.#path, state: 'closed' });
  }

  #withTimeout(done: Promise<void>, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.#setTimer(() => {
        reject(
          new WalError(
            'WAL_TIMEOUT',
            `the log is still draining after ${timeoutMs} ms: call shutdown again, or close`,
            {
              state: this.state,
              limit: timeoutMs,
            },
          ),
        );
      }, timeoutMs);
      done.then(resolve, reject).finally(cancel);
    });
  }
}

function overtaking(): WalError {
  return new WalError('WAL_BACKPRESSURE', 'others wait for room already: nothing was appended; await ready() first', {
    operation: 'append',
  });
}
