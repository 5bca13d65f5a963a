import process from 'node:process';
import { fuzz } from '../fuzz/fuzz.js';

/** Some inputs of each target, always the same: what is seen in single bytes shows soon. */
const RUNS = 300;
const SEED = 7;

/** Fuzzes targets until something is found. It is run with a defect in it, and watched from outside. */
for (const target of process.argv.slice(2)) {
  process.stdout.write(`${target}\n`);
  const given = { minutes: Number.POSITIVE_INFINITY, runs: RUNS, targets: [target], seed: SEED };
  const finding = await fuzz(given);
  if (finding !== undefined) {
    process.stdout.write(`found by ${target}: ${finding.error.split('\n', 1)[0]}\n`);
    break;
  }
}
// A defect may leave something open that would keep the process.
process.exit();
