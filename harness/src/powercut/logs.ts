import type { Random } from '../random.js';

import { CoreLedgers } from '../torture/expected/core-ledgers.js';
import { type Accounts, Ledger } from '../torture/expected/ledger.js';
import { type Api, hasCores, type LogOptions } from '../torture/job.js';
import { optionsOf } from '../torture/tortured-log.js';
import type { GuestJob } from './guest/job.js';

/** A log that a guest writes, through all its runs. */
export interface LogPlan {
  /** Of its directory, on the guest's disk. */
  readonly name: string;
  readonly backend: string;
  readonly api: Api;
  readonly options: LogOptions;
  readonly seed: number;
  readonly careless: boolean;
}

/** Logs that are written side by side: each by another part of the API. */
export function planLogs(backend: string, random: Random): LogPlan[] {
  const plan = (api: Api, preset?: LogOptions['preset']): LogPlan => {
    const options = optionsOf({ padGroups: random.chance(0.3), api }, random);
    return {
      name: `${api}${preset === undefined ? '' : `-${preset}`}`,
      backend,
      api,
      options: preset === undefined ? options : { ...options, preset },
      seed: random.seed(),
      careless: false,
    };
  };
  const preset = random.pick(['durable', 'throughput', 'low-latency'] as const);
  return [plan('wal'), plan('segmented'), plan('percore'), plan('wal', preset)];
}

/** One log that calls durable what is not. */
export function planCarelessLog(backend: string, random: Random): LogPlan[] {
  const options = optionsOf({ padGroups: false, api: 'segmented' }, random);
  return [{ name: 'careless', backend, api: 'segmented', options, seed: random.seed(), careless: true }];
}

/** What a log does in one run of it. */
export function jobOf({ name, ...plan }: LogPlan, disk: string, run: number): GuestJob {
  return { ...plan, directory: `${disk}/${name}`, run, check: true, mayFill: false };
}

/** An empty ledger for a log. */
export const accountsOf = ({ api }: LogPlan): Accounts => (hasCores(api) ? new CoreLedgers() : new Ledger());

/** In words, for people. */
export function describePlan({ name, options }: LogPlan): string {
  const { encrypted, compressed, preset, ...rest } = options;
  const words = preset === undefined ? Object.entries(rest).map(([key, value]) => `${key} ${value}`) : [];
  if (encrypted) words.push('encrypted');
  if (compressed) words.push('compressed');
  return words.length === 0 ? name : `${name} (${words.join(', ')})`;
}
