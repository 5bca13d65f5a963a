import { builtinModules } from 'node:module';
import { basename, posix } from 'node:path';

/**
 * @typedef {import('./workspace.mjs').Member} Member
 * @typedef {import('./workspace.mjs').Manifest} Manifest
 *
 * @typedef {object} Use one import, and where it stands
 * @property {Member} member
 * @property {string} file relative to the member's folder
 * @property {string} specifier
 * @property {number} line
 *
 * @typedef {object} Surroundings
 * @property {Member[]} members
 * @property {Record<string, string[]>} mayImport by folder name under packages/
 */

export const scope = '@walstack/';

/** @param {Member} member */
export const isPackage = (member) => member.folder.startsWith('packages/');

/** What the tests of several packages share: a part of the harness, so that nothing of it is published. */
const testKit = 'harness/test-kit/';

/**
 * Examples show what users can write, their tests included.
 *
 * @param {Member} member
 */
const isExample = ({ folder }) => folder.startsWith('examples/');

/** @param {string} file */
export const isTest = (file) => /^test(?:-kit)?\//.test(file);

/** @param {string} specifier */
export const isRelative = (specifier) => /^\.{0,2}\//.test(specifier) || /^\.{1,2}$/.test(specifier);

/**
 * The package that a specifier names, without the path inside it.
 *
 * @param {string} specifier
 */
export const packageIn = (specifier) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/**
 * What people install together with a package.
 *
 * @param {Manifest} manifest
 */
export const runtimeDependencies = (manifest) =>
  Object.keys({ ...manifest.optionalDependencies, ...manifest.peerDependencies, ...manifest.dependencies });

/** @param {Manifest} manifest @param {string} specifier */
const hasEntryPoint = ({ name, exports = {} }, specifier) => {
  const entry = `.${specifier.slice(name.length)}`;
  return typeof exports === 'string' ? entry === '.' : entry in exports;
};

/**
 * What an entry point `internal` exports is for this repository alone.
 *
 * @param {Use} use
 * @param {Member} target
 */
const internalViolations = ({ member, specifier }, target) =>
  isExample(member) && specifier === `${target.manifest.name}/internal`
    ? [`imports ${specifier}: examples import what users may`]
    : [];

/** @param {Use} use @param {string} target relative to the member's folder */
const isKitForTests = ({ member, file }, target) =>
  isTest(file) && !isExample(member) && posix.join(member.folder, target).startsWith(testKit);

/** @param {Use} use */
const relativeViolations = (use) => {
  const { file, specifier } = use;
  const target = posix.join(posix.dirname(file), specifier);
  if (specifier.startsWith('/') || (target.startsWith('..') && !isKitForTests(use, target))) {
    return [`imports ${specifier}, which lies outside the package`];
  }
  return !isTest(file) && isTest(target) ? [`imports ${specifier}, which belongs to the tests`] : [];
};

/**
 * Tests may use what is installed for tests, the root's tools included; what a package runs on, it brings along itself.
 *
 * @param {Use} use
 * @param {string} name
 */
const declarationViolations = ({ member, file, specifier }, name) => {
  const { manifest } = member;
  const declared = [...runtimeDependencies(manifest), ...Object.keys((isTest(file) && manifest.devDependencies) || {})];
  return declared.includes(name) ? [] : [`imports ${specifier}, which package.json does not declare in dependencies`];
};

/**
 * @param {Use} use
 * @param {Member} target
 * @param {Surroundings} surroundings
 */
const layerViolations = ({ member }, target, { mayImport }) => {
  const from = basename(member.folder);
  const to = basename(target.folder);
  const isAllowed = !isPackage(member) || (isPackage(target) && (mayImport[from] ?? []).includes(to));
  return isAllowed ? [] : [`imports ${target.manifest.name}: ${from} may not import ${to}`];
};

/**
 * @param {Use} use
 * @param {Member} target
 * @param {Surroundings} surroundings
 */
const workspaceViolations = (use, target, surroundings) => {
  const { member, file, specifier } = use;
  const { name } = target.manifest;
  const door = hasEntryPoint(target.manifest, specifier) ? [] : [`imports ${specifier}, no entry point of ${name}`];
  if (target === member) {
    return isTest(file) ? door : [...door, `imports ${specifier}: a package's own files are imported by their paths`];
  }
  return [
    ...door,
    ...internalViolations(use, target),
    ...layerViolations(use, target, surroundings),
    ...declarationViolations(use, name),
  ];
};

/**
 * What is wrong with one import.
 *
 * @param {Use} use
 * @param {Surroundings} surroundings
 * @returns {string[]}
 */
export const importViolations = (use, surroundings) => {
  const { file, specifier } = use;
  if (specifier.startsWith('node:')) {
    return [];
  }
  if (isRelative(specifier)) {
    return relativeViolations(use);
  }
  if (builtinModules.includes(specifier)) {
    return [`imports ${specifier} without node:`];
  }
  const name = packageIn(specifier);
  const target = surroundings.members.find(({ manifest }) => manifest.name === name);
  if (target !== undefined) {
    return workspaceViolations(use, target, surroundings);
  }
  return isTest(file) && !name.startsWith(scope) ? [] : declarationViolations(use, name);
};
