import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { muslCommands } from './musl-commands.mjs';
import { packageFolder } from './sources.mjs';

/**
 * @typedef {'x64' | 'arm64'} Arch
 * @typedef {'glibc' | 'musl'} Libc
 *
 * @typedef {object} Target one of the binaries of a release
 * @property {Arch} arch
 * @property {Libc} libc
 *
 * @typedef {object} Commands
 * @property {string} compiler
 * @property {string} linker
 * @property {string} strip
 */

/** @type {readonly Arch[]} */
export const architectures = ['x64', 'arm64'];

/** @type {readonly Libc[]} */
export const libraries = ['glibc', 'musl'];

/** What a release contains, all of it for Linux. @type {readonly Target[]} */
export const releaseTargets = architectures.flatMap((arch) => libraries.map((libc) => ({ arch, libc })));

/** @param {Target} target */
export const nameOf = ({ arch, libc }) => `linux-${arch}, ${libc}`;

/**
 * Where a binary lies in the package. Its name has the tags by which `node-gyp-build` chooses.
 *
 * @param {Target} target
 */
export const binaryOf = ({ arch, libc }) => {
  const name = arch === 'arm64' ? `walstack.armv8.${libc}.node` : `walstack.${libc}.node`;
  return join(packageFolder, 'prebuilds', `linux-${arch}`, name);
};

/** Beside a binary, not part of the package: the hash of the sources that it was made from. @param {Target} target */
export const stampOf = (target) => `${binaryOf(target)}.sources`;

/** The names by which GNU tools and Debian call a processor. */
const triples = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** musl for a processor, which is one file: the library and its loader. @param {Arch} arch */
export const muslLibrary = (arch) => `/lib/ld-musl-${triples[arch].replace(/-.*/, '')}.so.1`;

/** @returns {Libc} */
const ownLibrary = () => {
  const report = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport());
  return report.header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
};

/** The target that this Node.js runs on; `undefined` where a release has no binary for it. */
export const ownTarget = () => {
  const arch = architectures.find((name) => name === process.arch);
  return process.platform === 'linux' && arch !== undefined ? { arch, libc: ownLibrary() } : undefined;
};

/** @param {Target} target */
const isOwn = (target) => {
  const own = ownTarget();
  return own !== undefined && own.arch === target.arch && own.libc === target.libc;
};

/** @param {string} command */
const isThere = (command) => spawnSync(command, ['--version']).status === 0;

/**
 * The commands that make a binary of a target on this machine.
 *
 * @param {Target} target
 * @returns {Commands}
 * @throws {Error} that names the packages of Debian that are missing
 */
export const commandsFor = (target) => {
  const own = { compiler: process.env['CXX'] ?? 'g++', linker: process.env['CXX'] ?? 'g++', strip: 'strip' };
  if (isOwn(target)) return own;
  const triple = triples[target.arch];
  const compiler = `${triple}-g++`;
  if (!isThere(compiler)) {
    throw new Error(`${nameOf(target)}: there is no ${compiler}; on Debian it is in g++-${triple.replace('_', '-')}`);
  }
  const strip = `${triple}-strip`;
  if (target.libc === 'glibc') return { compiler, linker: compiler, strip };
  const machine = triple.replace(/-.*/, '');
  if (!existsSync(`/usr/include/${machine}-linux-musl/unistd.h`) || !existsSync(muslLibrary(target.arch))) {
    const debianName = { x64: 'amd64', arm64: 'arm64' }[target.arch];
    throw new Error(`${nameOf(target)}: there is no musl to compile with; on Debian it is in musl-dev:${debianName}`);
  }
  return { ...muslCommands(compiler, triple, machine), strip };
};
