import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { TruncateResult } from '@walstack/segmented';
import type { ActiveCore, CorePlace, DurableBarrier } from '../core/core-handle.js';
import { errorFromTransfer } from './error-transfer.js';
import { workerEnded } from './worker.js';
import type { CallName, Calls, Report, Request, WorkerData } from './worker-protocol.js';

/** A call that waits for an answer. */
interface PendingCall {
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

/** The log of a core whose writer is in a worker thread. Nothing is sent there when an entry is appended. */
export class WorkerCore implements ActiveCore {
  readonly coreId: number;
  /** The other end of the `port` of the worker's program. */
  readonly port: MessagePort;
  readonly #worker: Worker;
  readonly #pendingCalls = new Map<number, PendingCall>();
  readonly #opened = withResolvers<void>();
  readonly #finished = withResolvers<unknown>();
  #calls = 0;
  #ended: Error | undefined;
  #closing = false;

  private constructor(data: Omit<WorkerData, 'port'>) {
    const { port1, port2 } = new MessageChannel();
    this.coreId = data.coreId;
    this.port = port1;
    // An unused port must not keep the process alive.
    port1.unref();
    this.#worker = new Worker(new URL('./worker-entry.js', import.meta.url), {
      workerData: { ...data, port: port2 } satisfies WorkerData,
      transferList: [port2],
      name: `core-${data.coreId}`,
      ...execArgvOfWorkers(process.execArgv),
    });
    this.#worker.on('message', (report: Report) => this.#onReport(report));
    this.#worker.on('error', (error) => this.#end(workerEnded(this.coreId, error)));
    this.#worker.on('exit', () => this.#end(workerEnded(this.coreId)));
    // The application need not await it: a rejection without a handler must not end the process.
    this.#finished.promise.catch(() => {});
  }

  /** Starts a worker, and waits until its log is open. @throws what opening it throws there */
  static async start(data: Omit<WorkerData, 'port'>): Promise<WorkerCore> {
    const core = new WorkerCore(data);
    try {
      await core.#opened.promise;
      return core;
    } catch (error) {
      await core.#worker.terminate();
      throw error;
    }
  }

  /** Resolves with the result of the worker's program. Rejects with what it throws, or when the worker ends before. */
  get finished(): Promise<unknown> {
    return this.#finished.promise;
  }

  endEpoch(epoch: number): Promise<DurableBarrier> {
    return this.#call('endEpoch', epoch);
  }

  repeatLastBarrier(epoch: number): Promise<DurableBarrier> {
    return this.#call('repeatLastBarrier', epoch);
  }

  sync(): Promise<CorePlace> {
    return this.#call('sync', undefined);
  }

  place(): Promise<CorePlace> {
    return this.#call('place', undefined);
  }

  async forgetCommitted(lsn: number): Promise<void> {
    await this.#call('forgetCommitted', lsn);
  }

  truncateBefore(lsn: number): Promise<TruncateResult> {
    return this.#call('truncateBefore', lsn);
  }

  /** Asks the program to end by aborting its signal, and waits until it has. */
  async stop(): Promise<void> {
    await this.#call('stop', undefined);
  }

  async close(): Promise<void> {
    try {
      await this.#call('close', undefined);
    } finally {
      this.#closing = true;
      this.port.close();
      await this.#worker.terminate();
    }
  }

  #call<Name extends CallName>(call: Name, argument: Calls[Name]['argument']): Promise<Calls[Name]['result']> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#pendingCalls.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call, argument } satisfies Request);
    });
  }

  #onReport(report: Report): void {
    switch (report.kind) {
      case 'answer':
        // The id belongs to a call whose result has this type.
        this.#takePendingCall(report.id)?.resolve(report.result as never);
        return;
      case 'refusal':
        this.#takePendingCall(report.id)?.reject(errorFromTransfer(report.error));
        return;
      case 'open':
        this.#opened.resolve();
        return;
      case 'unopened':
        this.#opened.reject(errorFromTransfer(report.error));
        return;
      case 'finished':
        this.#finished.resolve(report.result);
        return;
      case 'failed':
        this.#finished.reject(errorFromTransfer(report.error));
    }
  }

  #takePendingCall(id: number): PendingCall | undefined {
    const waiting = this.#pendingCalls.get(id);
    this.#pendingCalls.delete(id);
    return waiting;
  }

  #end(error: Error): void {
    if (this.#closing && this.#pendingCalls.size === 0) return;
    this.#ended ??= error;
    this.#opened.reject(this.#ended);
    this.#finished.reject(this.#ended);
    for (const { reject } of this.#pendingCalls.values()) reject(this.#ended);
    this.#pendingCalls.clear();
  }
}

/** Options with which Node.js runs code that is in no file; the code is a part of some, or the next argument. */
const FOR_CODE_WITHOUT_FILE = /^(--input-type|--eval|--print|-e|-p|-pe)(=|$)/;

/**
 * A thread has the options of its process, but Node.js refuses a file with `--input-type`: then the thread gets the others.
 *
 * @param args - of the process
 */
function execArgvOfWorkers(args: readonly string[]): { readonly execArgv?: string[] } {
  if (!args.some((arg) => arg.startsWith('--input-type'))) return {};
  const execArgv: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] as string;
    if (!FOR_CODE_WITHOUT_FILE.test(arg)) execArgv.push(arg);
    else if (!arg.includes('=')) index++;
  }
  return { execArgv };
}

interface Resolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** `Promise.withResolvers`, which Node.js 20 lacks. */
function withResolvers<T>(): Resolvers<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((whenResolved, whenRejected) => {
    resolve = whenResolved;
    reject = whenRejected;
  });
  return { promise, resolve, reject };
}
