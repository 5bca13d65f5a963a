// Makes binaries that go into the published package, in prebuilds/: `node scripts/prebuild.mjs [--arch x64|arm64]
// [--libc glibc|musl] [--all]`. Without options, the one for the platform, processor and C library of this machine; --all
// makes all binaries of a release. Those for Linux are looked at: whether they load with glibc 2.28, or with musl alone.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import process from 'node:process';
import { parseArgs, promisify } from 'node:util';
import { binaryViolations } from './lib/binary-rules.mjs';
import { nodeHeaders } from './lib/node-headers.mjs';
import { addonFolder, hashOfSources, packageFolder } from './lib/sources.mjs';
import {
  architectures,
  binaryOf,
  commandsFor,
  libraries,
  nameOf,
  ownTarget,
  releaseTargets,
  stampOf,
} from './lib/targets.mjs';

/** @typedef {import('./lib/targets.mjs').Target} Target */

const load = createRequire(import.meta.url);
const prebuildify = promisify(load('prebuildify'));

const options = {
  cwd: addonFolder,
  out: packageFolder,
  name: 'walstack',
  napi: true,
  strip: true,
  targets: [process.versions.node],
};

/** @param {Target} target */
const prebuild = async (target) => {
  const { compiler, linker, strip } = commandsFor(target);
  process.stdout.write(`\n${nameOf(target)}: ${compiler}\n`);
  const { CXX, LINK } = process.env;
  Object.assign(process.env, { CXX: compiler, LINK: linker });
  for (const path of [binaryOf(target), stampOf(target)]) rmSync(path, { force: true });
  await prebuildify({
    ...options,
    platform: 'linux',
    arch: target.arch,
    libc: target.libc,
    stripBin: strip,
    tagLibc: true,
    armv: '8',
    tagArmv: target.arch === 'arm64',
  });
  for (const [name, value] of Object.entries({ CXX, LINK })) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  const binary = binaryOf(target);
  const violations = binaryViolations(binary, target);
  if (violations.length > 0) throw new Error(`${binary}\n  ${violations.join('\n  ')}`);
  // Last: a binary without it counts as one of other sources.
  writeFileSync(stampOf(target), `${hashOfSources()}\n`);
};

/** @template {string} T @param {string | undefined} given @param {readonly T[]} known @param {string} what */
const oneOf = (given, known, what) => {
  const value = known.find((name) => name === given);
  if (given !== undefined && value === undefined) throw new Error(`--${what} is one of ${known.join(', ')}`);
  return value;
};

/** What was asked for. @returns {readonly Target[]} */
const targetsAskedFor = () => {
  const { values } = parseArgs({
    options: { arch: { type: 'string' }, libc: { type: 'string' }, all: { type: 'boolean' } },
  });
  const arch = oneOf(values.arch, architectures, 'arch');
  const libc = oneOf(values.libc, libraries, 'libc');
  if (values.all) return releaseTargets;
  const own = ownTarget();
  const target = { arch: arch ?? own?.arch, libc: libc ?? own?.libc };
  return releaseTargets.filter((each) => each.arch === target.arch && each.libc === target.libc);
};

/** For a platform without an entry in the table of releases. */
const prebuildHere = async () => {
  await prebuildify(options);
  process.stdout.write(`A binary for ${process.platform}-${process.arch}, which no release contains.\n`);
};

// prebuildify hands no option for these on to node-gyp, which reads them from the environment as well.
if (nodeHeaders !== undefined) process.env['npm_config_nodedir'] = nodeHeaders.nodedir;
process.env['npm_config_jobs'] = 'max';

try {
  const targets = targetsAskedFor();
  for (const target of targets) await prebuild(target);
  if (targets.length === 0) await prebuildHere();
  for (const target of targets) {
    process.stdout.write(`${nameOf(target)}: ${binaryOf(target)}, ${readFileSync(binaryOf(target)).length} bytes\n`);
  }
  // What was made for this machine has to load here.
  const own = ownTarget();
  if (own === undefined || existsSync(stampOf(own))) {
    process.env['PREBUILDS_ONLY'] = '1';
    load('node-gyp-build')(packageFolder);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
