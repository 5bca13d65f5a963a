// `pnpm test:packages [--release] [version…]`: installs the packages as packed into an empty project by npm, which needs the
// registry for what they depend on, and uses them by import, by require() and from TypeScript, with the addon and without, on
// Node.js 20, 22 and 24 unless said otherwise, fetched by npx. With --release, the tarballs of a release.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { layProject, programFailures, typeScriptFailures, useFailures } from './lib/consumer.mjs';
import { prepare } from './lib/prepare.mjs';
import { run } from './lib/run.mjs';
import { step } from './lib/steps.mjs';
import { tarballOf } from './lib/tarballs.mjs';
import { publishedMembers, repositoryRoot as root } from './lib/workspace.mjs';

const { values, positionals } = parseArgs({ options: { release: { type: 'boolean' } }, allowPositionals: true });
const versions = positionals.length > 0 ? positionals : ['20', '22', '24'];
const members = publishedMembers(root);
const tarballs = members.map((member) => tarballOf(member, values.release ? 'release' : 'checks'));

/** @param {string[]} failures */
const outcome = async (failures) => ({ ok: failures.length === 0, output: failures.join('\n') });

/** @param {string} folder */
const testIn = async (folder) => {
  layProject(folder);
  const options = ['--no-audit', '--no-fund', '--loglevel=error'];
  const isInstalled = await step('npm install', () =>
    run('npm', ['install', ...options, ...tarballs], { cwd: folder }),
  );
  if (!isInstalled) return false;
  const prebuilds = join(
    folder,
    'node_modules',
    '@walstack',
    'native',
    'prebuilds',
    `${process.platform}-${process.arch}`,
  );
  const hasAddon = existsSync(prebuilds);
  if (!hasAddon) process.stdout.write('The packages contain no binary for this platform: without the addon only.\n');
  const names = members.map(({ manifest }) => manifest.name);
  let ok = true;
  for (const version of versions) {
    /** @type {import('./lib/consumer.mjs').Consumer} */
    const consumer = { folder, node: ['npx', '--yes', `--package=node@${version}`, '--', 'node'], hasAddon };
    const uses = () => [...useFailures(consumer), ...typeScriptFailures(consumer), ...programFailures(consumer, names)];
    ok = (await step(`Node.js ${version}`, () => outcome(uses()))) && ok;
  }
  return ok;
};

const environment = await prepare(root);
const pack = () => run(process.execPath, ['scripts/pack-packages.mjs'], { cwd: root, env: environment ?? process.env });
const isPacked = environment !== undefined && (values.release || (await step('pack', pack)));
const folder = mkdtempSync(join(tmpdir(), 'walstack-installed-'));
const isUsable = isPacked && (await testIn(folder));
rmSync(folder, { recursive: true });
if (!isUsable) process.exitCode = 1;
