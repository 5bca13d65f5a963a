/**
 * The contract of {@link StorageIo} as a test suite, for whoever writes a backend: with any test runner, and with
 * `node:assert` and nothing else.
 *
 * @packageDocumentation
 */
import { wrongArguments } from './arguments.js';
import { completions } from './completions.js';
import { data } from './data.js';
import { files } from './files.js';
import { lifecycle } from './lifecycle.js';
import { locks } from './locks.js';
import { names } from './names.js';
import { type ConformanceBackend, type ConformanceCase, type ConformanceCreateOptions, Subject } from './subject.js';

export type { StorageIo } from '../storage-io.js';
export type { ConformanceBackend, ConformanceCreateOptions } from './subject.js';

/** What {@link storageIoConformance} needs. */
export interface ConformanceOptions {
  /** Declares a test: `test` of `node:test`, `it` of vitest … */
  readonly test: (name: string, run: () => Promise<void>) => unknown;
  /** Makes a backend for one test, with an empty directory. Called inside the test. */
  readonly create: (options?: ConformanceCreateOptions) => ConformanceBackend | Promise<ConformanceBackend>;
}

const TOPICS: readonly (readonly [topic: string, cases: readonly ConformanceCase[]])[] = [
  ['lifecycle', lifecycle],
  ['names', names],
  ['files', files],
  ['data', data],
  ['completions', completions],
  ['locks', locks],
  ['arguments', wrongArguments],
];

/**
 * Declares a test for every rule of the contract. What a backend does not claim in its `capabilities` is tested to be
 * refused. A backend that loses a completion makes its test hang: the test runner's time limit ends it.
 *
 * @throws nothing; the tests do
 */
export function storageIoConformance({ test, create }: ConformanceOptions): void {
  for (const [topic, cases] of TOPICS) {
    for (const each of cases) test(`${topic}: ${each.name}`, () => carryOut(each, create));
  }
}

async function carryOut(each: ConformanceCase, create: ConformanceOptions['create']): Promise<void> {
  const backend = await create(each.maxPending === undefined ? {} : { maxPending: each.maxPending });
  const subject = new Subject(backend);
  try {
    await each.run(subject);
  } finally {
    await subject.end();
  }
}
