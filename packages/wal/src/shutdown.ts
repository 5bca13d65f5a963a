import { WalError } from '@walstack/codec';
import { backgroundCallsOf, type LogEnd } from '@walstack/segmented/internal';
import type { Committer } from './commit/committer.js';
import { type PendingWorkSource, unwatchExit, watchExit } from './exit-warning.js';
import type { LogFollowers } from './follow/log-followers.js';
import type { WalState } from './lifecycle.js';
import type { LogContext } from './log-context.js';

/**
 * Closes a log, at once or after everything in it is durable, whichever is asked for first and in any order. Warns when the
 * process ends while the log is open and has work pending.
 */
export class Shutdown {
  readonly #context: LogContext;
  readonly #committer: Committer<never>;
  readonly #followers: LogFollowers<unknown>;
  readonly #unfinished: PendingWorkSource = { pendingWork: () => this.#pendingWork() };
  #draining: Promise<void> | undefined;
  /** The number of calls that wait until everything is durable: less those whose time was up. */
  #drainingCalls = 0;
  #closing: Promise<void> | undefined;
  /** The end of the log when its closing began: calls that waited for room may have been appended until then. */
  #end: LogEnd | undefined;
  readonly #ended = new AbortController();

  constructor(context: LogContext, committer: Committer<never>, followers: LogFollowers<unknown>) {
    this.#context = context;
    this.#committer = committer;
    this.#followers = followers;
    // A log that is only in memory ends with the process in any case.
    if (context.log.io.capabilities.realFiles) watchExit(this.#unfinished);
  }

  /** The closing of the log, which has begun: after it, `isDurable` of the log is final. */
  get closing(): Promise<void> | undefined {
    return this.#closing;
  }

  /** Aborted when the closing of the log has begun. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Makes everything durable and closes the log; waits for that at most `timeoutMs`. */
  async drain(timeoutMs: number | undefined): Promise<void> {
    if (this.#draining === undefined && this.#closing === undefined) {
      this.#context.lifecycle.advance('draining');
      this.#draining = this.#drain();
      // Without a call that waits for it, `close` reports its failure.
      this.#draining.catch(() => {});
    }
    const done = this.#draining ?? (this.#closing as Promise<void>);
    if (timeoutMs !== undefined) return this.#withTimeout(done, timeoutMs);
    this.#drainingCalls++;
    return done;
  }

  /**
   * Closes the log without making anything durable, and warns of the events that it drops.
   *
   * @param discard - dropping them is intended: without a warning
   */
  close(discard: boolean): Promise<void> {
    this.#closing ??= this.#close(discard);
    this.#ended.abort();
    return this.#closing;
  }

  async #close(discard: boolean): Promise<void> {
    const { log, lifecycle, path } = this.#context;
    lifecycle.advance('closed');
    // Until the log is closed, the end of the process would drop them without a warning.
    if (discard) unwatchExit(this.#unfinished);
    this.#committer.stopBackgroundFlush();
    this.#committer.rejectAll(lifecycle.closedError('the log was closed'));
    this.#end = this.#committer.appended;
    this.#followers.end();
    try {
      await log.close({ discard: true });
    } finally {
      unwatchExit(this.#unfinished);
    }
    const { discarded } = backgroundCallsOf(log);
    if (discarded > 0 && !discard) warnOfDropped(discarded, path);
  }

  async #drain(): Promise<void> {
    const { log, lifecycle } = this.#context;
    this.#committer.stopBackgroundFlush();
    const failure = await this.#committer.drain();
    await this.#followers.storePositions();
    if (this.#closing !== undefined) {
      // `close` came first. A failure of it is thrown to its own caller.
      await this.#closing.catch(() => {});
      if (this.#isEverythingDurable) return;
      throw lifecycle.closedError('the log was closed before everything in it was durable');
    }
    lifecycle.advance('closed');
    unwatchExit(this.#unfinished);
    this.#end = this.#committer.appended;
    // This call reports it, and not the closing of the log.
    if (failure !== undefined) this.#committer.reported(failure);
    this.#closing = log.close().then(() => {
      // Nothing waits for this call any more: `close` reports it, also one that was called meanwhile.
      if (failure !== undefined && this.#drainingCalls === 0 && !this.#isEverythingDurable) throw failure;
    });
    this.#followers.end();
    this.#ended.abort();
    try {
      await this.#closing;
    } finally {
      // What waited for room on the disk.
      if (failure !== undefined) this.#committer.rejectAll(log.failure ?? failure);
    }
    // Where records waited for room on the disk, closing the log may have found some.
    if (failure !== undefined && !this.#isEverythingDurable) throw failure;
  }

  /** Whether everything is durable that was appended before the log was closed. */
  get #isEverythingDurable(): boolean {
    return this.#end !== undefined && this.#committer.isDurable(this.#end);
  }

  #withTimeout(done: Promise<void>, timeoutMs: number): Promise<void> {
    const { lifecycle, setTimer } = this.#context;
    return new Promise((resolve, reject) => {
      const timeIsUp = (): void => {
        this.#drainingCalls--;
        reject(stillDraining(timeoutMs, lifecycle.state));
      };
      const cancel = setTimer(timeIsUp, timeoutMs);
      this.#drainingCalls++;
      done.then(resolve, reject).finally(cancel);
    });
  }

  #pendingWork(): string | undefined {
    const { log, path } = this.#context;
    const waiting = this.#committer.waiting + this.#committer.waitingForRoom;
    if (log.pendingBytes === 0 && waiting === 0) return undefined;
    return `${log.pendingBytes} bytes pending and ${waiting} commits waiting in the log in ${path}`;
  }
}

function warnOfDropped(events: number, path: string): void {
  const what = events === 1 ? '1 event that was' : `${events} events that were`;
  const advice = 'await shutdown() keeps them, close({ discard: true }) drops them without this warning';
  process.emitWarning(`close() dropped ${what} not written yet, of the log in ${path}: ${advice}`, {
    type: 'WalWarning',
    code: 'WAL_CLOSE_PENDING',
  });
}

function stillDraining(timeoutMs: number, state: WalState): WalError {
  const what = `the log is still draining after ${timeoutMs} ms: call shutdown again, or close`;
  return new WalError('WAL_TIMEOUT', what, { state, limit: timeoutMs });
}
