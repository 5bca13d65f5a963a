import process from 'node:process';
import { sideBySide } from '../side-by-side.js';
import type { TestsSetup } from './protocol.js';
import { TestRunner } from './test-runner.js';

/** Does something with each item, so many side by side, each job with a runner of tests of its own. */
export async function sideBySideWithRunners<Item>(
  items: readonly Item[],
  jobs: number,
  setup: TestsSetup,
  work: (item: Item, job: number, runner: TestRunner) => Promise<void>,
): Promise<void> {
  const runners = Array.from({ length: jobs }, () => new TestRunner(setup, process.env));
  try {
    await sideBySide(items, jobs, (item, job) => work(item, job, runners[job] as TestRunner));
  } finally {
    for (const runner of runners) runner.close();
  }
}
