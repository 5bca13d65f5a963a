// `npm start -- arguments…`: installs and builds what has changed, then runs the quickstart with these arguments.
import './lib/require-node.mjs';
import process from 'node:process';
import { prepare } from './lib/prepare.mjs';
import { handOverTo, run } from './lib/run.mjs';
import { step } from './lib/steps.mjs';
import { repositoryRoot as root } from './lib/workspace.mjs';

const buildQuickstart = ['run', 'build', '--filter=./examples/quickstart...', '--output-logs=errors-only'];
const runQuickstart = ['examples/quickstart/dist/main.js', ...process.argv.slice(2)];

const env = await prepare(root);
const isReady = env !== undefined && (await step('build', () => run('turbo', buildQuickstart, { cwd: root, env })));

if (isReady) {
  process.stdout.write('\n');
  // The quickstart keeps its log in the repository, and looks for the files it is given where the user stands: npm says
  // in INIT_CWD where that is.
  const standing = process.env['INIT_CWD'] ?? process.cwd();
  await handOverTo(process.execPath, runQuickstart, { cwd: root, env: { ...process.env, INIT_CWD: standing } });
} else {
  process.exitCode = 1;
}
