// Runs the addon under AddressSanitizer and UndefinedBehaviorSanitizer, built apart from the binary that is used:
// first its passes over bytes with thousands of inputs made to break them, then the tests in JavaScript.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import process from 'node:process';
import { nodeHeaders } from './lib/node-headers.mjs';

const root = resolve(import.meta.dirname, '..');
const repository = resolve(root, '..', '..');
const addon = join(root, 'addon');
const fuzz = join(root, 'fuzz');
const output = join(root, 'build-asan');
const reports = join(output, 'reports');
const driver = join(output, 'driver');
// Laid out as node-gyp-build looks for it.
const binary = join(output, 'build', 'Release', 'walstack.node');

const compiler = process.env['CXX'] ?? 'g++';
const flags = ['-std=c++17', '-g', '-O1', '-fno-omit-frame-pointer', '-Wall', '-Wextra', '-Werror'];
const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

/** What has no part of Node in it. */
const core = ['crc32c.cc', 'durability_proof.cc', 'frames.cc'].map((name) => join(addon, name));

/** @param {string} folder */
const sourcesIn = (folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.cc'))
    .map((name) => join(folder, name));

/** @param {string} text */
const say = (text) => process.stdout.write(`${text}\n`);

/** @param {string} why @returns {never} */
const stop = (why) => {
  say(`FAILED: ${why}`);
  process.exit(1);
};

/** @param {string} what @param {string} command @param {string[]} args @param {NodeJS.ProcessEnv} [env] */
const step = (what, command, args, env = process.env) => {
  say(`\n${what}`);
  const { status, signal, error } = spawnSync(command, args, { cwd: repository, env, stdio: 'inherit' });
  return status === 0 ? undefined : (error?.message ?? `${what}: ended with ${signal ?? `exit code ${status}`}`);
};

/** @param {string[]} args */
const askCompiler = (...args) => spawnSync(compiler, args, { encoding: 'utf8' }).stdout?.trim() ?? '';

const addonTests = () => {
  const library = askCompiler('-print-file-name=libasan.so');
  if (!isAbsolute(library)) return `${compiler} has no libasan.so, which Node.js has to be started with`;
  if (nodeHeaders === undefined) return 'this Node.js came without its headers';
  const built = step('the addon, sanitized', compiler, [
    ...flags,
    ...sanitizers,
    '-fPIC',
    '-shared',
    // As in binding.gyp.
    '-Wl,-z,nodelete',
    '-fvisibility=hidden',
    '-fno-exceptions',
    '-fno-rtti',
    '-DNAPI_VERSION=8',
    `-I${nodeHeaders.include}`,
    ...sourcesIn(addon),
    '-o',
    binary,
  ]);
  if (built !== undefined) return built;
  const vitest = [join(repository, 'node_modules', 'vitest', 'vitest.mjs'), 'run'];
  const env = {
    ...process.env,
    LD_PRELOAD: library,
    // Node.js itself does not give all its memory back; what leaks in the addon is for its own tests to see. And it asks
    // for memory that may be refused: what is too much is told to the caller, as without a sanitizer.
    ASAN_OPTIONS: `detect_leaks=0:allocator_may_return_null=1:log_path=${join(reports, 'asan')}`,
    UBSAN_OPTIONS: `print_stacktrace=1:log_path=${join(reports, 'ubsan')}`,
    WALSTACK_NATIVE: '',
    // Where node-gyp-build looks instead of the package's folder.
    '@WALSTACK/NATIVE_PREBUILD': output,
  };
  return (
    step("the addon's tests in JavaScript", process.execPath, [...vitest, '--project=@walstack/native'], env) ??
    step(
      'the same bytes by the addon and in JavaScript',
      process.execPath,
      [...vitest, '--project=@walstack/codec', 'implementations'],
      env,
    )
  );
};

const driverTests = () => {
  const sources = [...sourcesIn(fuzz), ...core];
  return (
    step('the driver, sanitized', compiler, [
      ...flags,
      ...sanitizers,
      '-pthread',
      `-I${addon}`,
      ...sources,
      '-o',
      driver,
    ]) ?? step('its inputs', driver, process.argv.slice(2))
  );
};

if (process.platform !== 'linux') stop('the sanitizers are set up for Linux only');
if (askCompiler('--version') === '') stop(`there is no C++ compiler (${compiler}): install g++, or name one in CXX`);
rmSync(output, { recursive: true, force: true });
for (const folder of [join(output, 'build', 'Release'), reports]) mkdirSync(folder, { recursive: true });

const failures = [driverTests(), addonTests()].filter((failure) => failure !== undefined);
for (const name of readdirSync(reports)) {
  // That too much memory was refused is told to the caller, which is tested; it is no finding.
  const lines = readFileSync(join(reports, name), 'utf8').split('\n');
  const found = lines.filter((line) => line !== '' && !line.includes('WARNING: AddressSanitizer failed to allocate'));
  if (found.length > 0) failures.push(`${name}:\n${found.join('\n')}`);
}
if (failures.length > 0) stop(failures.join('\n'));
say('\nNothing was found.');
