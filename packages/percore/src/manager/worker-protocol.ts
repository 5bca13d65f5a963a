import type { MessagePort } from 'node:worker_threads';
import type { TruncateResult } from '@walstack/segmented';
import type { StorageIoName } from '@walstack/storage-io';
import type { CorePlace, DurableBarrier } from '../core/core-handle.js';
import type { CoreState } from '../core/core-state.js';
import type { LogOptions, ModuleReference } from '../options.js';
import type { TransferredError } from './error-transfer.js';

/** The end of a log's content: enough to detect that another writer appended to it. */
export interface LogContent {
  readonly lastLsn: number;
  /** Id of the segment with the last entry; `undefined` when there is no entry. */
  readonly segmentId: string | undefined;
}

/** The data that a worker is started with. */
export interface WorkerData {
  readonly coreId: number;
  readonly directory: string;
  readonly epochs: SharedArrayBuffer;
  readonly io: StorageIoName;
  readonly config: LogOptions;
  readonly state: CoreState;
  /** The content of the log when `state` was determined. */
  readonly content: LogContent;
  readonly run: Required<ModuleReference>;
  readonly configure: Required<ModuleReference> | undefined;
  /** The channel between the program of the worker and the application. */
  readonly port: MessagePort;
}

/** The calls of the manager to a worker, with their arguments and results. */
export interface Calls {
  endEpoch: { readonly argument: number; readonly result: DurableBarrier };
  repeatLastBarrier: { readonly argument: number; readonly result: DurableBarrier };
  sync: { readonly argument: undefined; readonly result: CorePlace };
  place: { readonly argument: undefined; readonly result: CorePlace };
  forgetCommitted: { readonly argument: number; readonly result: undefined };
  truncateBefore: { readonly argument: number; readonly result: TruncateResult };
  /** Asks the program to end by aborting its signal, and waits until it has. */
  stop: { readonly argument: undefined; readonly result: undefined };
  close: { readonly argument: undefined; readonly result: undefined };
}

export type CallName = keyof Calls;

/** From the manager to a worker. */
export interface Request {
  readonly id: number;
  readonly call: CallName;
  readonly argument: Calls[CallName]['argument'];
}

/** From a worker to the manager. */
export type Report =
  | { readonly kind: 'answer'; readonly id: number; readonly result: Calls[CallName]['result'] }
  | { readonly kind: 'refusal'; readonly id: number; readonly error: TransferredError }
  /** The log is open, and the program has begun. */
  | { readonly kind: 'open' }
  /** The log could not be opened. */
  | { readonly kind: 'unopened'; readonly error: TransferredError }
  /** The program has returned. */
  | { readonly kind: 'finished'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly error: TransferredError };
