import { outOfRange } from '@walstack/codec/internal';
import { FAULT_KINDS, type FaultKind } from '../disk/operation.js';
import { type Survivors, survivorsNamed } from '../disk/survivors.js';

/** One crash: after how many changes of the disks, and which unsynced items survived. */
export interface CrashStep {
  /** The number of changes of the disks since the run began. */
  readonly point: number;
  readonly survivors: Survivors;
}

/** A fault: the operation of a disk that fails, and how. */
export interface FaultStep {
  /** Crashes before it: without any the operation belongs to the scenario, else to the check after the last crash. */
  readonly after: readonly CrashStep[];
  /** Which of the disks, from 0. */
  readonly disk: number;
  /** Which of its operations, from 1. */
  readonly operation: number;
  readonly kind: FaultKind;
}

/** The place of a state in an exploration, from which it can be reproduced. */
export interface Coordinate {
  readonly seed: number;
  readonly fault: FaultStep | undefined;
  /** Crashes after the fault, if there is one. The first is in the scenario, each further one in the check that followed. */
  readonly crashes: readonly CrashStep[];
}

const STEPS = '((?:@\\d+:[a-z-]+(?::\\d+)?)*)';
const WHOLE = new RegExp(`^(\\d+)${STEPS}(?:!(\\d+)\\.(\\d+)\\.([A-Za-z-]+)${STEPS})?$`);
const STEP = /@(\d+):([a-z-]+(?::\d+)?)/g;

const formatSteps = (crashes: readonly CrashStep[]): string =>
  crashes.map(({ point, survivors }) => `@${point}:${survivors}`).join('');

/**
 * Formats a coordinate as one short word: `3@41:random:9@12:none`, `3!0.17.EIO@41:none` where something failed, or
 * `3@41:none!0.17.EIO@12:all` where something failed after a crash.
 */
export function formatCoordinate({ seed, fault, crashes }: Coordinate): string {
  if (fault === undefined) return `${seed}${formatSteps(crashes)}`;
  const { after, disk, operation, kind } = fault;
  return `${seed}${formatSteps(after)}!${disk}.${operation}.${kind}${formatSteps(crashes)}`;
}

/** @throws `RangeError` (`ERR_OUT_OF_RANGE`) for a text that is no coordinate */
export function parseCoordinate(text: string): Coordinate {
  const [matched, seed, first, disk, operation, kind, crashes] = WHOLE.exec(text) ?? [];
  if (matched === undefined) throw outOfRange('replay', 'a coordinate such as 3@41:random:9', text);
  const after = stepsIn(first);
  if (kind === undefined) return { seed: Number(seed), fault: undefined, crashes: after };
  const known = FAULT_KINDS.find((each) => each === kind);
  if (known === undefined) throw outOfRange('replay', `a coordinate with one of ${FAULT_KINDS.join(', ')}`, text);
  return {
    seed: Number(seed),
    fault: { after, disk: Number(disk), operation: Number(operation), kind: known },
    crashes: stepsIn(crashes),
  };
}

function stepsIn(text = ''): CrashStep[] {
  return [...text.matchAll(STEP)].map(([, point, survivors]) => {
    survivorsNamed(survivors);
    // The regular expression has matched one of the names.
    return { point: Number(point), survivors: survivors as Survivors };
  });
}
