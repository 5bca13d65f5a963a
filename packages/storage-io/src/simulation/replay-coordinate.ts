import { outOfRange } from '@walstack/codec';
import { FAULT_KINDS, type FaultKind } from './operation.js';
import { type Survivors, survivorsNamed } from './survivors.js';

/** One crash: after how many changes of the disks, and what of the unsynced survived. */
export interface CrashStep {
  /** How many changes the disks had seen since the life began. */
  readonly point: number;
  readonly survivors: Survivors;
}

/** A fault: the operation of a disk that fails, and how. */
export interface FaultStep {
  /** Crashes before it: with none the operation is one of the scenario, else one of the check behind the last of them. */
  readonly after: readonly CrashStep[];
  /** Which of the disks, from 0. */
  readonly disk: number;
  /** Which of its operations, from 1. */
  readonly operation: number;
  readonly kind: FaultKind;
}

/** Where in an exploration a state is: enough to make it again. */
export interface Coordinate {
  readonly seed: number;
  readonly fault: FaultStep | undefined;
  /** Behind the fault, if there is one. The first is in the scenario, each further one in the check that followed. */
  readonly crashes: readonly CrashStep[];
}

const STEPS = '((?:@\\d+:[a-z-]+(?::\\d+)?)*)';
const WHOLE = new RegExp(`^(\\d+)${STEPS}(?:!(\\d+)\\.(\\d+)\\.([A-Za-z-]+)${STEPS})?$`);
const STEP = /@(\d+):([a-z-]+(?::\d+)?)/g;

const formatSteps = (crashes: readonly CrashStep[]): string =>
  crashes.map(({ point, survivors }) => `@${point}:${survivors}`).join('');

/**
 * As one short word: `3@41:random:9@12:none`, `3!0.17.EIO@41:none` where something failed, or `3@41:none!0.17.EIO@12:all`
 * where something failed behind a crash.
 */
export function formatCoordinate({ seed, fault, crashes }: Coordinate): string {
  if (fault === undefined) return `${seed}${formatSteps(crashes)}`;
  const { after, disk, operation, kind } = fault;
  return `${seed}${formatSteps(after)}!${disk}.${operation}.${kind}${formatSteps(crashes)}`;
}

/** @throws `RangeError` (`ERR_OUT_OF_RANGE`) for what no failure has printed */
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
    // What has just been understood is one of the words.
    return { point: Number(point), survivors: survivors as Survivors };
  });
}
