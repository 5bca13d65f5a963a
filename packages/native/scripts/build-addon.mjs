// Builds the addon for the Node.js that runs this, or prints in one line why it cannot: everything works without it.
// Does nothing when the sources have not changed since the last build.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { nodeHeaders } from './lib/node-headers.mjs';

const root = resolve(import.meta.dirname, '..');
// binding.gyp does not lie beside package.json: there, an install would take it for something to be built at once, and
// fail for lack of a compiler.
const addon = join(root, 'addon');
const built = join(addon, 'build', 'Release', 'walstack.node');
const binary = join(root, 'build', 'Release', 'walstack.node');
const stamp = join(root, 'build', 'stamp');
const failureLog = join(root, 'build-failure.log');

/** Says which binary these sources make on this machine. */
const fingerprint = () => {
  const hash = createHash('sha256');
  for (const file of readdirSync(addon, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (file.isFile()) hash.update(`${file.name}\n`).update(readFileSync(join(addon, file.name)));
  }
  // The interface of Node-API is the same in all versions: one binary serves them all.
  return hash.update(`${process.platform} ${process.arch}`).digest('hex');
};

const isUpToDate = () => existsSync(binary) && existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint();

/** @param {string[]} args */
const nodeGyp = (...args) => {
  const command = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  return spawnSync(process.execPath, [command, ...args], { cwd: addon, encoding: 'utf8' });
};

/** Replaces the binary in one step: a process that loads it meanwhile gets the old one or the new one. */
const install = () => {
  mkdirSync(join(root, 'build', 'Release'), { recursive: true });
  copyFileSync(built, `${binary}.new`);
  renameSync(`${binary}.new`, binary);
  writeFileSync(stamp, fingerprint());
  rmSync(failureLog, { force: true });
};

const build = () => {
  rmSync(stamp, { force: true });
  const { status, stdout, stderr } = nodeGyp(
    'rebuild',
    '--jobs=max',
    ...(nodeHeaders === undefined ? [] : [`--nodedir=${nodeHeaders.nodedir}`]),
  );
  if (status === 0) {
    install();
    return;
  }
  // A binary of older sources would only be refused when it is loaded.
  rmSync(binary, { force: true });
  writeFileSync(failureLog, `${stdout}\n${stderr}`);
  process.stdout.write(
    'The native addon was not built (build-failure.log says why): everything works without it, more slowly.\n',
  );
};

if (process.env['WALSTACK_NATIVE'] === '0') {
  process.stdout.write('The native addon is not built: WALSTACK_NATIVE=0.\n');
} else if (!isUpToDate()) {
  build();
}
