import type { Preset } from '@walstack/wal';

/**
 * How a log is written. `wal` and `segmented` wait with promises, `segmented-sync` blocks its thread. `percore` writes the
 * logs of several cores from one thread, `percore-workers` each from a thread of its own.
 */
export type Api = 'wal' | 'segmented' | 'segmented-sync' | CoresApi;

/** Those that write the logs of several cores. */
export type CoresApi = 'percore' | 'percore-workers';

export const hasCores = (api: Api): api is CoresApi => api === 'percore' || api === 'percore-workers';

/** The options of a log that is tortured. */
export interface LogOptions {
  readonly blockBytes: number;
  readonly segmentBytes: number;
  readonly padGroups: boolean;
  readonly markAfterMs: number;
  readonly maxInFlight: number;
  readonly directIo: boolean;
  readonly preallocate: 'write' | 'allocate' | 'none';
  readonly recycleSegments: number;
  readonly encrypted: boolean;
  readonly compressed: boolean;
  /** Of a log of one writer. */
  readonly retainBytes?: number;
  /** Of `Wal`: its values count instead of those above that are no keys and no codec. */
  readonly preset?: Preset;
}

/** What one run does: opens a log and writes to it until it is ended by force. */
export interface Job {
  readonly directory: string;
  /** Name of a backend. */
  readonly backend: string;
  readonly api: Api;
  readonly options: LogOptions;
  /** Of the contents of the log. */
  readonly seed: number;
  /** 1, 2, 3 … within the log. */
  readonly run: number;
  /** Whether everything that the log holds is read and reported first. Where there are cores, it always is. */
  readonly check: boolean;
  /** The log was damaged, and is to be salvaged; with this LSN, where salvage cannot find it by itself. */
  readonly salvage?: { readonly lsn?: number };
  /** Whether the disk may run full, which then is nothing to complain of. */
  readonly mayFill: boolean;
}

export const encodeJob = (job: Job): string => JSON.stringify(job);

/** A job that was encoded by the process that started this one. */
export const decodeJob = (text: string): Job => JSON.parse(text) as Job;
