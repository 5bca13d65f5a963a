/**
 * The contract of {@link StorageIo} as a test suite for backends: for any test runner, and depending only on
 * `node:assert`.
 *
 * @packageDocumentation
 */
import { anyOrder } from './any-order.js';
import { wrongArguments } from './arguments.js';
import { completions } from './completions.js';
import { data } from './data.js';
import { files } from './files.js';
import { lifecycle } from './lifecycle.js';
import { links } from './links.js';
import { locks } from './locks.js';
import { names } from './names.js';
import { permissions } from './permissions.js';
import { powerCuts } from './power-cuts.js';
import { powerCutsAtLength } from './power-cuts-at-length.js';
import { refusals } from './refusals.js';
import {
  type ConformanceBackend,
  type ConformanceCase,
  type ConformanceCreateOptions,
  type ConformanceNeed,
  Subject,
  type SuiteSettings,
} from './subject.js';

export type { StorageIo } from '../storage-io.js';
export type { ConformanceBackend, ConformanceCreateOptions } from './subject.js';

/** What {@link storageIoConformance} needs. */
export interface ConformanceOptions {
  /** Declares a test: `test` of `node:test`, `it` of vitest … */
  readonly test: (name: string, run: () => Promise<void>) => unknown;
  /** Makes a backend for one test, with an empty directory. Called inside the test. */
  readonly create: (options?: ConformanceCreateOptions) => ConformanceBackend | Promise<ConformanceBackend>;
  /**
   * Whether there is no second backend on the same files. Then cases that need one are not declared; otherwise a
   * backend without `another` fails them. Default `false`.
   */
  readonly alone?: boolean;
  /**
   * Whether the backends have `powerCut`, with which syncs and durable writes are tested. Without it, whether they
   * reach the disk is not tested. Default `false`: these cases are not declared.
   */
  readonly powerCuts?: boolean;
  /**
   * A module whose default export makes a backend, or a promise of one, on the same files: locks are tried between two
   * processes. Default: these cases are not declared.
   */
  readonly otherProcess?: URL;
}

const TOPICS: readonly (readonly [topic: string, cases: readonly ConformanceCase[]])[] = [
  ['lifecycle', lifecycle],
  ['names', names],
  ['files', files],
  ['links', links],
  ['permissions', permissions],
  ['data', data],
  ['any order', anyOrder],
  ['refusals', refusals],
  ['completions', completions],
  ['locks', locks],
  ['power cuts', [...powerCuts, ...powerCutsAtLength]],
  ['arguments', wrongArguments],
];

/**
 * Declares a test for every rule of the contract. Features that a backend does not report in its `capabilities` have to
 * be refused. A backend that loses a completion makes its test hang, until the test runner's time limit.
 *
 * @throws nothing; the tests do
 */
export function storageIoConformance(options: ConformanceOptions): void {
  const { test, create, alone = false, powerCuts = false, otherProcess } = options;
  const settings: SuiteSettings = { alone, module: otherProcess?.href };
  const there: Readonly<Record<ConformanceNeed, boolean>> = {
    another: !alone,
    'power cut': powerCuts,
    'another process': otherProcess !== undefined,
  };
  for (const [topic, cases] of TOPICS) {
    for (const each of cases) {
      if (each.needs !== undefined && !there[each.needs]) continue;
      test(`${topic}: ${each.name}`, () => carryOut(each, create, settings));
    }
  }
}

async function carryOut(
  each: ConformanceCase,
  create: ConformanceOptions['create'],
  settings: SuiteSettings,
): Promise<void> {
  const backend = await create(each.maxPending === undefined ? {} : { maxPending: each.maxPending });
  const subject = new Subject(backend, settings);
  try {
    await each.run(subject);
  } finally {
    await subject.end();
  }
}
