// Finds what must not stay in the repository: focused or skipped tests, marks of unfinished work, paths of somebody's
// machine, download addresses in the lock file.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { hygieneViolations } from './lib/hygiene-rules.mjs';
import { writtenFiles } from './lib/source-files.mjs';
import { repositoryRoot } from './lib/workspace.mjs';

const isText = /\.(?:[cm]?[jt]s|jsonc?|ya?ml|md|py|sh)$|(?:^|\/)(?:run|LICENSE|\.\w+)$/;

// data/ is where the quickstart leaves its log.
const violations = writtenFiles(repositoryRoot)
  .filter((file) => isText.test(file) && !file.startsWith('data/'))
  .flatMap((file) => hygieneViolations(file, readFileSync(join(repositoryRoot, file), 'utf8')));
for (const violation of violations) {
  process.stdout.write(`${violation}\n`);
}
process.exitCode = violations.length === 0 ? 0 : 1;
