// `pnpm test:node [--all] [version…]`: the tests of the lowest packages, or with --all of every package, on other versions of
// Node.js, 22 and 24 unless said otherwise, fetched by npx. The addon's binary stays the one that was built here: one has to
// serve them all.
import process from 'node:process';
import { parseArgs } from 'node:util';
import { run } from './lib/run.mjs';
import { repositoryRoot as root, workspaceMembers } from './lib/workspace.mjs';

const { values, positionals: given } = parseArgs({ options: { all: { type: 'boolean' } }, allowPositionals: true });
const names = values.all
  ? workspaceMembers(root).flatMap(({ folder, manifest }) => (folder.startsWith('packages') ? [manifest.name] : []))
  : ['@walstack/native', '@walstack/codec'];
const projects = names.map((name) => `--project=${name}`);
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
