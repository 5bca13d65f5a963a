// Run by pnpm before it packs a package, in the folder of that package: refuses one that cannot be published as it is.
import process from 'node:process';
import { packViolations } from './lib/pack-rules.mjs';
import { readManifest } from './lib/workspace.mjs';

const folder = process.cwd();
const violations = packViolations(folder, process.env);
if (violations.length > 0) {
  process.stderr.write(`${readManifest(folder).name} is not packed:\n  ${violations.join('\n  ')}\n`);
  process.exitCode = 1;
}
