// Copies every example out of the repository, lays beside it the packages as `npm test` has packed them and the rest of what its
// package.json declares, builds it there, and checks its types. `pnpm test:examples` packs first.
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { copyExample, copyFailures, exampleMembers } from './lib/example-copies.mjs';
import { unpackPackages } from './lib/unpacked-packages.mjs';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'walstack-examples-')));
const modules = join(folder, 'packages', 'node_modules');
const copies = join(folder, 'copies');
mkdirSync(modules, { recursive: true });
const { violations } = unpackPackages(modules);
const waiting = violations.length === 0 ? exampleMembers() : [];
const checkOneByOne = async () => {
  for (let example = waiting.shift(); example !== undefined; example = waiting.shift()) {
    violations.push(...(await copyFailures(copyExample(example, copies, modules))));
  }
};
await Promise.all(Array.from({ length: availableParallelism() }, checkOneByOne));
rmSync(folder, { recursive: true });
for (const violation of violations) process.stdout.write(`${violation}\n`);
process.exitCode = violations.length === 0 ? 0 : 1;
