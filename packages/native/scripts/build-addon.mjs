// Builds the addon for the Node.js that runs this, or says in one line why it can't: everything above works without it.
// The headers are those beside the running node; only where there are none does node-gyp fetch them.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import process from 'node:process';

const root = resolve(import.meta.dirname, '..');
const binary = join(root, 'build', 'Release', 'walstack.node');
const stamp = join(root, 'build', 'stamp');

/** Says which binary these sources make on this machine. */
const fingerprint = () => {
  const hash = createHash('sha256');
  const sources = readdirSync(join(root, 'addon')).sort();
  for (const file of ['binding.gyp', ...sources.map((name) => join('addon', name))]) {
    hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  }
  // The interface of Node-API is the same in all versions: one binary serves them all.
  return hash.update(`${process.platform} ${process.arch}`).digest('hex');
};

const isUpToDate = () => existsSync(binary) && existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint();

/** @param {string[]} args */
const nodeGyp = (...args) => {
  const command = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  return spawnSync(process.execPath, [command, ...args], { cwd: root, encoding: 'utf8' });
};

const headerArguments = () => {
  const prefix = resolve(process.execPath, '../..');
  return existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : [];
};

const build = () => {
  rmSync(stamp, { force: true });
  const { status, stdout, stderr } = nodeGyp('rebuild', '--jobs=max', ...headerArguments());
  if (status === 0) {
    mkdirSync(join(root, 'build'), { recursive: true });
    writeFileSync(stamp, fingerprint());
    return;
  }
  // A binary of older sources would only be refused when it is loaded.
  rmSync(binary, { force: true });
  writeFileSync(join(root, 'build-failure.log'), `${stdout}\n${stderr}`);
  process.stdout.write(
    'The native addon was not built (build-failure.log says why): everything works without it, more slowly.\n',
  );
};

if (process.env['WALSTACK_NATIVE'] === '0') {
  process.stdout.write('The native addon is not built: WALSTACK_NATIVE=0.\n');
} else if (!isUpToDate()) {
  build();
}
