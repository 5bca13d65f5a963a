import { spawnSync } from 'node:child_process';
import { muslLibrary } from './targets.mjs';

/** The oldest glibc with which the binaries load: that of RHEL 8, Debian 10 and Node.js 20 itself. */
const OLDEST_GLIBC = [2, 28];

const machines = { x64: 'Advanced Micro Devices X86-64', arm64: 'AArch64' };

/**
 * The libraries that a binary may need. The loader of musl takes every name that begins with `libc.` for itself: Debian
 * has it as `libc.so`, Alpine with the name of the processor.
 */
const neededLibraries = { glibc: /^libc\.so\.6$/, musl: /^libc\.(?:musl-\w+\.)?so(?:\.1)?$/ };

/** Of the compiler's own files, found by the dynamic linker or left out. */
const optionalSymbols = /^(?:_ITM_\w+|__gmon_start__|__cxa_finalize)$/;

/** @param {string} path @param {string[]} options */
const readElf = (path, ...options) => {
  const { status, stdout, stderr, error } = spawnSync('readelf', ['--wide', ...options, path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`readelf ${path}: ${error?.message ?? stderr}`);
  return stdout;
};

/** @param {string} text @param {RegExp} pattern with one group */
const found = (text, pattern) => [...text.matchAll(pattern)].map(([, group = '']) => group);

/** @param {string} version such as `GLIBC_2.28` */
const isTooNew = (version) => {
  const [major = 0, minor = 0] = version.replace('GLIBC_', '').split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_GLIBC;
  return major > oldestMajor || (major === oldestMajor && minor > oldestMinor);
};

/** @param {string} library */
const definedSymbols = (library) =>
  new Set(found(readElf(library, '--dyn-syms'), / (?:DEFAULT|PROTECTED) +\d+ (\S+)/g));

/** The symbols that Node.js has to have for a binary: those of Node-API and libuv. @param {string} path */
export const symbolsOfNode = (path) =>
  found(readElf(path, '--dyn-syms'), / UND ((?:napi|node_api|uv)_\w+)(?:$|\s)/gm).sort();

/**
 * What keeps a binary from loading on every machine that it is for, a line each.
 *
 * @param {string} path
 * @param {import('./targets.mjs').Target} target
 */
export const binaryViolations = (path, { arch, libc }) => {
  const machine = found(readElf(path, '--file-header'), /Machine:\s+(.*)/g)[0];
  const needed = found(readElf(path, '--dynamic'), /\(NEEDED\).*\[(.*)\]/g);
  const symbols = found(readElf(path, '--dyn-syms'), / UND (\S+)/g);
  const versions = new Set(symbols.flatMap((symbol) => found(symbol, /@+(.*)$/g)));
  const violations = [];
  if (machine !== machines[arch]) violations.push(`is for ${machine}, not for ${machines[arch]}`);
  // One without would also load beside another C library, and then read its structs wrongly.
  if (needed.length === 0) violations.push('does not name the C library that it needs');
  for (const library of needed) {
    if (!neededLibraries[libc].test(library)) violations.push(`needs the library ${library}`);
  }
  for (const version of versions) {
    if (libc === 'musl' || !version.startsWith('GLIBC_')) violations.push(`needs symbols of ${version}`);
    else if (isTooNew(version)) violations.push(`needs ${version}, newer than GLIBC_${OLDEST_GLIBC.join('.')}`);
  }
  // A symbol of glibc has a version: one without would not be found there. Those of musl have none.
  const ofMusl = libc === 'musl' ? definedSymbols(muslLibrary(arch)) : new Set();
  const isKnown = (/** @type {string} */ symbol) =>
    /@|^(?:napi|node_api|uv)_/.test(symbol) || optionalSymbols.test(symbol) || ofMusl.has(symbol);
  for (const symbol of symbols.filter((name) => !isKnown(name))) {
    violations.push(`needs ${symbol}, which neither Node.js nor ${libc} has`);
  }
  return violations;
};
