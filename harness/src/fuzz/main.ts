import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { available, unavailableReason } from '@walstack/native';
import { runCommand } from '../command-line.js';
import { HELP, readArguments } from './arguments.js';
import type { Finding } from './fuzz.js';
import { watch } from './watch.js';

/** Says what was found, and writes down the input as the corpus has it. */
function sayFinding({ target, input, error }: Finding, seed: number): void {
  console.log(`FOUND in ${target} with --seed ${seed}:\n${error}`);
  if (input === '') return;
  const file = join(mkdtempSync(join(tmpdir(), 'walstack-fuzz-')), 'input.json');
  writeFileSync(file, `{ "target": ${JSON.stringify(target)}, "input": ${input} }\n`);
  console.log(`the smallest input that does it is ${file}: put it into harness/corpus when it is mended`);
}

await runCommand(HELP, async () => {
  const given = readArguments(process.argv.slice(2));
  if (given === undefined) {
    console.log(HELP);
    return 0;
  }
  console.log(`seed ${given.seed}`);
  if (!available) console.log(`skipped: the native implementations, as ${unavailableReason}`);
  const { inputs, finding } = await watch(given, new URL('./fuzz-worker.js', import.meta.url));
  if (finding !== undefined) sayFinding(finding, given.seed);
  console.log(`fuzz: ${inputs} inputs, ${given.targets.length} targets, ${finding === undefined ? 0 : 1} findings`);
  return finding === undefined ? 0 : 1;
});
