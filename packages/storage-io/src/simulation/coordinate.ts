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
  /** The first is in the scenario, each further one in the check that followed. */
  readonly crashes: readonly CrashStep[];
}

const WHOLE = /^(\d+)(?:!(\d+)\.(\d+)\.([A-Za-z-]+))?((?:@\d+:[a-z-]+(?::\d+)?)*)$/;
const STEP = /@(\d+):([a-z-]+(?::\d+)?)/g;

/** As one short word: `3@41:random:9@12:none`, or `3!0.17.EIO@41:none` where something failed. */
export function formatCoordinate({ seed, fault, crashes }: Coordinate): string {
  const failed = fault === undefined ? '' : `!${fault.disk}.${fault.operation}.${fault.kind}`;
  return `${seed}${failed}${crashes.map(({ point, survivors }) => `@${point}:${survivors}`).join('')}`;
}

/** @throws `RangeError` (`ERR_OUT_OF_RANGE`) for what no failure has printed */
export function parseCoordinate(text: string): Coordinate {
  const [matched, seed, disk, operation, kind, crashes] = WHOLE.exec(text) ?? [];
  if (matched === undefined) throw outOfRange('replay', 'a coordinate such as 3@41:random:9', text);
  const steps = [...(crashes ?? '').matchAll(STEP)].map(([, point, survivors]): CrashStep => {
    survivorsNamed(survivors);
    // What has just been understood is one of the words.
    return { point: Number(point), survivors: survivors as Survivors };
  });
  if (kind === undefined) return { seed: Number(seed), fault: undefined, crashes: steps };
  const known = FAULT_KINDS.find((each) => each === kind);
  if (known === undefined) throw outOfRange('replay', `a coordinate with one of ${FAULT_KINDS.join(', ')}`, text);
  return {
    seed: Number(seed),
    fault: { disk: Number(disk), operation: Number(operation), kind: known },
    crashes: steps,
  };
}
