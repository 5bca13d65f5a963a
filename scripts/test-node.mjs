// `pnpm test:node [version…]`: the tests of the lowest packages on other versions of Node.js, 22 and 24 unless said
// otherwise, fetched by npx. The addon's binary stays the one that was built here: one has to serve them all.
import process from 'node:process';
import { run } from './lib/run.mjs';
import { repositoryRoot as root } from './lib/workspace.mjs';

const given = process.argv.slice(2);
const projects = ['@walstack/native', '@walstack/codec'].map((name) => `--project=${name}`);
const failed = [];
for (const version of given.length > 0 ? given : ['22', '24']) {
  process.stdout.write(`\nNode.js ${version}\n`);
  const vitest = ['node', 'node_modules/vitest/vitest.mjs', 'run', ...projects];
  const { ok } = await run('npx', ['--yes', `--package=node@${version}`, '--', ...vitest], {
    cwd: root,
    sharesOutput: true,
  });
  if (!ok) failed.push(version);
}
if (failed.length > 0) {
  process.stdout.write(`Failed on Node.js ${failed.join(', ')}.\n`);
  process.exitCode = 1;
}
