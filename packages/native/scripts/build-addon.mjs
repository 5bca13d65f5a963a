// Builds the addon for the Node.js that runs this, or prints in one line why it cannot: everything works without it.
// Does nothing when the sources have not changed since the last build.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { nodeHeaders } from './lib/node-headers.mjs';
import { addonFolder, hashOfSources, packageFolder } from './lib/sources.mjs';

const built = join(addonFolder, 'build', 'Release', 'walstack.node');
const binary = join(packageFolder, 'build', 'Release', 'walstack.node');
const stamp = join(packageFolder, 'build', 'stamp');
const failureLog = join(packageFolder, 'build-failure.log');

// The interface of Node-API is the same in all versions: one binary serves them all.
const fingerprint = () => `${hashOfSources()} ${process.platform} ${process.arch}`;

const isUpToDate = () => existsSync(binary) && existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint();

/** @param {string[]} args */
const nodeGyp = (...args) => {
  const command = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  return spawnSync(process.execPath, [command, ...args], { cwd: addonFolder, encoding: 'utf8' });
};

/** Replaces the binary in one step: a process that loads it meanwhile gets the old one or the new one. */
const install = () => {
  mkdirSync(join(packageFolder, 'build', 'Release'), { recursive: true });
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
