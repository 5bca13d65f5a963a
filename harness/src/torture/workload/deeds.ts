import type { Random } from '../../random.js';
import { CHECKPOINT, type FoundClaims } from '../expected/claims.js';
import type { Report } from '../reports.js';

/** What a log is asked beside appending. */
type Call =
  | { readonly what: 'truncateBefore' | 'truncateAfter' | 'resetTo' | 'checkpoint'; readonly lsn: number }
  | { readonly what: 'hold'; readonly name: string; readonly lsn: number }
  | { readonly what: 'releaseHold'; readonly name: string };

/** A log, of either class. */
export interface Keeper extends FoundClaims {
  readonly lastLsn: number;
  listSegments(): readonly { readonly path: string; readonly firstLsn: number }[];
}

/** One that waits with promises. */
export interface WaitingKeeper extends Keeper {
  truncateBefore(lsn: number): Promise<unknown>;
  truncateAfter(lsn: number): Promise<unknown>;
  resetTo(lsn: number): Promise<unknown>;
  checkpoint(lsn: number): Promise<unknown>;
  hold(name: string, lsn: number): Promise<unknown>;
  releaseHold(name: string): Promise<unknown>;
}

/** One that blocks. */
export interface BlockingKeeper extends Keeper {
  truncateBeforeSync(lsn: number): unknown;
  truncateAfterSync(lsn: number): unknown;
  resetToSync(lsn: number): unknown;
  checkpointSync(lsn: number): unknown;
  holdSync(name: string, lsn: number): unknown;
  releaseHoldSync(name: string): unknown;
}

/** Something that is done to a log, and what is to be reported of it. */
export interface Deed {
  readonly call: Call;
  /** The segments that there were before the call. */
  readonly segments: ReadonlySet<string>;
  /** Reported before the call. */
  readonly begins: readonly Report[];
  /** The last LSN that a cut leaves; `undefined` when it is no cut. */
  readonly cutTo: number | undefined;
}

/** What is known of a log beside what it says. */
export interface Circumstances {
  /** Whether it drops by itself what is up to the checkpoint. */
  readonly retains: boolean;
  /** Whether the disk may run full: there, holds are given up more often. */
  readonly mayFill: boolean;
}

const HOLDS = ['a', 'b', 'c'];

/** Draws what is done next. */
export function drawDeed(log: Keeper, random: Random, circumstances: Circumstances): Deed {
  const call = drawCall(log, random, circumstances);
  const begins = [...beginningOf(call)];
  // Whatever moves the checkpoint or a hold has retention look after the log.
  if (circumstances.retains && (call.what === 'checkpoint' || 'name' in call)) {
    const upTo = Math.max(log.checkpointLsn, call.what === 'checkpoint' ? call.lsn : 0);
    begins.push({ what: 'truncating', lsn: upTo + 1 });
  }
  const segments = new Set(log.listSegments().map(({ path }) => path));
  return { call, segments, begins, cutTo: cutOf(call) };
}

/** What is reported behind the call. @param generation - of the records that come next */
export function endOf({ call, segments }: Deed, log: Keeper, generation: number): readonly Report[] {
  const { firstLsn } = log;
  switch (call.what) {
    case 'truncateBefore':
      return [{ what: 'truncated', firstLsn }, ...leftBehind(call.lsn, segments, log)];
    case 'truncateAfter':
      return [{ what: 'cut', lsn: call.lsn, generation }, claimsOf(log)];
    case 'resetTo':
      return [{ what: 'reset', lsn: call.lsn, generation }, claimsOf(log)];
    case 'checkpoint':
      return [{ what: 'claimed', name: CHECKPOINT, lsn: call.lsn }];
    case 'hold':
      return [{ what: 'claimed', name: call.name, lsn: call.lsn }];
    case 'releaseHold':
      return [{ what: 'claimed', name: call.name, lsn: undefined }];
  }
}

/** A truncation leaves no segment that ends before what is needed, but where its successor was named meanwhile. */
function leftBehind(lsn: number, segments: ReadonlySet<string>, log: Keeper): readonly Report[] {
  const needed = Math.min(lsn, ...Object.values(log.holds));
  const [first, second] = log.listSegments();
  if (first === undefined || second === undefined) return [];
  if (!segments.has(second.path) || second.firstLsn > needed) return [];
  return [
    { what: 'wrong', text: `truncation to LSN ${lsn} has left ${first.path}, and ${needed} is the first one needed` },
  ];
}

/** What a log says of its checkpoint and its holds. */
export const claimsOf = ({ firstLsn, checkpointLsn, holds }: FoundClaims): Report => ({
  what: 'claims',
  firstLsn,
  checkpointLsn,
  holds: { ...holds },
});

export function perform(log: WaitingKeeper, { call }: Deed): Promise<unknown> {
  if (call.what === 'hold') return log.hold(call.name, call.lsn);
  if (call.what === 'releaseHold') return log.releaseHold(call.name);
  return log[call.what](call.lsn);
}

export function performSync(log: BlockingKeeper, { call }: Deed): void {
  if (call.what === 'hold') log.holdSync(call.name, call.lsn);
  else if (call.what === 'releaseHold') log.releaseHoldSync(call.name);
  else log[`${call.what}Sync`](call.lsn);
}

function beginningOf(call: Call): readonly Report[] {
  switch (call.what) {
    case 'truncateBefore':
      return [{ what: 'truncating', lsn: call.lsn }];
    case 'truncateAfter':
      return [{ what: 'cutting', lsn: call.lsn }];
    case 'resetTo':
      return [{ what: 'resetting', lsn: call.lsn }];
    case 'checkpoint':
      return [{ what: 'claiming', name: CHECKPOINT, lsn: call.lsn }];
    case 'hold':
      return [{ what: 'claiming', name: call.name, lsn: call.lsn }];
    case 'releaseHold':
      return [{ what: 'claiming', name: call.name, lsn: undefined }];
  }
}

function cutOf(call: Call): number | undefined {
  if (call.what === 'truncateAfter') return call.lsn;
  return call.what === 'resetTo' ? call.lsn - 1 : undefined;
}

function drawCall(log: Keeper, random: Random, { retains, mayFill }: Circumstances): Call {
  const { firstLsn, lastLsn, checkpointLsn } = log;
  // What is up to the checkpoint may be gone by the time of the call.
  const there = retains ? Math.max(firstLsn, checkpointLsn + 1) : firstLsn;
  const kind = random.next();
  const name = random.pick(HOLDS);
  if (kind < 0.35) return { what: 'truncateAfter', lsn: drawEnd(there, lastLsn, random) };
  if (kind < 0.4) return { what: 'resetTo', lsn: drawStart(lastLsn, random) };
  if (kind < 0.55) {
    if (mayFill && random.chance(0.7)) return { what: 'releaseHold', name };
    return { what: 'hold', name, lsn: random.integer(there, lastLsn + 1) };
  }
  if (kind < 0.65) return { what: 'releaseHold', name };
  const above = Math.max(checkpointLsn + 1, firstLsn);
  if (kind < 0.78 && above <= lastLsn) return { what: 'checkpoint', lsn: random.integer(above, lastLsn) };
  const all = random.chance(0.2);
  return { what: 'truncateBefore', lsn: all ? lastLsn + 1 : random.integer(firstLsn, lastLsn + 1) };
}

/** Mostly a few records go; sometimes all, or none. @param there - an LSN that is there for sure, or the next */
function drawEnd(there: number, lastLsn: number, random: Random): number {
  const kind = random.next();
  if (kind < 0.7) return Math.max(there - 1, lastLsn + 1 - random.magnitude(40));
  return kind < 0.8 ? there - 1 : random.integer(there - 1, lastLsn);
}

/** The next LSN after a gap, one of before, or any. */
function drawStart(lastLsn: number, random: Random): number {
  const kind = random.next();
  if (kind < 0.5) return lastLsn + random.magnitude(100);
  return random.integer(kind < 0.8 ? Math.max(1, lastLsn - 20) : 1, lastLsn + 1);
}
