// Writes docs/api.md: every public name of the packages with the first sentence of its doc comment.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { apiOf } from './lib/api-page.mjs';
import { repositoryRoot } from './lib/workspace.mjs';

const { page, undocumented } = apiOf(repositoryRoot);
writeFileSync(join(repositoryRoot, 'docs/api.md'), page);
for (const name of undocumented) {
  process.stdout.write(`${name} has no doc comment\n`);
}
process.exitCode = undocumented.length === 0 ? 0 : 1;
