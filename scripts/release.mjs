// `pnpm release`: everything of a release but the last commands, which it prints: versions and changelogs, build, binaries, tests,
// tarballs, and what a user would do with them. --prebuilt takes the binaries that are in prebuilds/, tested elsewhere.
// --dry-run does all of it in a clone of the last commit, which is removed again; only there, --without-tests is allowed.
import './lib/require-node.mjs';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { prepare } from './lib/prepare.mjs';
import { inspectTarballs, releaseVersion, writePublishScript } from './lib/release-tarballs.mjs';
import { run } from './lib/run.mjs';
import { step } from './lib/steps.mjs';
import { tarballOf } from './lib/tarballs.mjs';
import { publishedMembers, repositoryRoot as root } from './lib/workspace.mjs';

const flag = /** @type {const} */ ({ type: 'boolean', default: false });
const { values } = parseArgs({ options: { 'dry-run': flag, 'without-tests': flag, prebuilt: flag } });
/** Set for the script in the clone of a dry run. */
const isRehearsal = process.env['WALSTACK_RELEASE'] === 'rehearsal';

/** @param {string} text */
const say = (text) => process.stdout.write(`${text}\n`);

class Refusal extends Error {}

/**
 * One step of several commands, the first that fails ends it; then the release ends, too.
 *
 * @param {string} name
 * @param {[string, ...string[]][]} commands
 * @param {NodeJS.ProcessEnv} [env]
 */
const required = async (name, commands, env = process.env) => {
  const ok = await step(name, async () => {
    for (const [command, ...args] of commands) {
      const { ok: isDone, output } = await run(command, args, { cwd: root, env });
      if (!isDone) return { ok: false, output: `$ ${command} ${args.join(' ')}\n${output}` };
    }
    return { ok: true };
  });
  if (!ok) throw new Refusal(`Nothing was published: "${name}" failed.`);
};

const requireCleanTree = async () => {
  const { ok, output } = await run('git', ['status', '--porcelain'], { cwd: root });
  if (ok && output === '') return;
  throw new Refusal(`A release begins with a clean working tree. "git status" lists:\n${output}`);
};

const requireInstall = async () => {
  const env = await prepare(root);
  if (env === undefined) throw new Refusal('Nothing was published: the install failed.');
  return env;
};

const hasChangesets = () => readdirSync(join(root, '.changeset')).some((name) => name.endsWith('.md'));

/** The part of a change log that is about the newest version. @param {string} file */
const newestChanges = (file) => readFileSync(join(root, file), 'utf8').split(/^(?=## )/m)[1] ?? '';

const sayChanges = () => {
  const files = publishedMembers(root).map(({ folder }) => `${folder}/CHANGELOG.md`);
  for (const file of files.filter((name) => existsSync(join(root, name)))) {
    const [title = '', ...lines] = newestChanges(file).split('\n');
    say(`  ${file}: ${title.replace(/^## /, '')}, ${lines.filter((line) => line.startsWith('- ')).length} changes`);
  }
};

/** @param {NodeJS.ProcessEnv} env */
const makeTarballs = async (env) => {
  const node = process.execPath;
  await required('build', [['turbo', 'run', 'build', '--output-logs=errors-only']], env);
  if (!values.prebuilt) {
    await required('binaries', [['pnpm', 'prebuild', '--all']], env);
    await required('binaries for musl', [['pnpm', 'test:musl']], env);
    if (!values['without-tests']) await required('binary for arm64', [['pnpm', 'test:arm64']], env);
  }
  if (!values['without-tests']) await required('npm test', [['npm', 'test']]);
  await required('pack', [[node, 'scripts/pack-packages.mjs', '--release']], env);
  const tarballs = publishedMembers(root).map((member) => tarballOf(member, 'release'));
  await required(
    'publint',
    tarballs.map((tarball) => ['publint', 'run', tarball, '--strict']),
    env,
  );
  await required(
    'types as published',
    tarballs.map((tarball) => ['attw', tarball, '--profile', 'esm-only']),
    env,
  );
  const { violations, contents } = inspectTarballs();
  for (const line of contents) say(`  ${line}`);
  if (violations.length > 0) throw new Refusal(`Nothing was published:\n${violations.join('\n')}`);
  await required('installed', [[node, 'scripts/test-packages.mjs', '--release']], env);
};

const release = async () => {
  await requireCleanTree();
  let env = await requireInstall();
  const isVersioned = hasChangesets();
  if (isVersioned) {
    await required('versions', [['changeset', 'version']], env);
    env = await requireInstall();
  }
  say(`Version ${releaseVersion()}${isVersioned ? '' : ', as it is: there are no changesets'}`);
  sayChanges();
  await makeTarballs(env);
  const { path, text } = writePublishScript();
  const version = releaseVersion();
  say('\nEverything but this is done:\n');
  if (isVersioned) {
    say(`git add --all && git commit --message "Version ${version}"`);
    say(`git tag v${version} && git push && git push origin v${version}\n`);
    say('The workflow release.yml begins with the tag. The same by hand, where npm knows this machine as its own:\n');
  }
  say(text);
  say(`The commands are in ${path}. Provenance can be had in the workflow only: elsewhere npm refuses --provenance.`);
};

/** Does everything in a clone of the last commit. */
const rehearse = async () => {
  await requireCleanTree();
  const parent = mkdtempSync(join(tmpdir(), 'walstack-release-'));
  const clone = join(parent, 'walstack');
  try {
    const cloned = await run('git', ['clone', '--quiet', '--no-hardlinks', root, clone], { cwd: parent });
    if (!cloned.ok) throw new Refusal(cloned.output);
    const options = Object.entries(values).filter(([name, value]) => value && name !== 'dry-run');
    const args = [join(clone, 'scripts', 'release.mjs'), ...options.map(([name]) => `--${name}`)];
    const env = { ...process.env, WALSTACK_RELEASE: 'rehearsal' };
    const { ok } = await run(process.execPath, args, { cwd: clone, env, sharesOutput: true });
    if (!ok) throw new Refusal('The dry run failed. Nothing was changed.');
    say('\nThis was a dry run: nothing was changed.');
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
};

try {
  if (values['without-tests'] && !values['dry-run'] && !isRehearsal) {
    throw new Refusal('--without-tests is for a dry run only.');
  }
  await (values['dry-run'] ? rehearse() : release());
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
