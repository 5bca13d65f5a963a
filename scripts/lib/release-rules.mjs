import { runtimeDependencies } from './import-rules.mjs';

/** @typedef {import('./workspace.mjs').Member} Member */

/**
 * The packages in an order in which each is published after those that it depends on.
 *
 * @param {Member[]} members
 */
export const publishOrder = (members) => {
  /** @type {Member[]} */
  const ordered = [];
  /** @param {Member} member */
  const add = (member) => {
    if (ordered.includes(member)) return;
    const needed = runtimeDependencies(member.manifest);
    for (const other of members.filter(({ manifest }) => needed.includes(manifest.name))) add(other);
    ordered.push(member);
  };
  for (const member of members) add(member);
  return ordered;
};

/** @param {string} tarball @param {string} version */
const publishCommand = (tarball, version) => {
  const tag = version.includes('-') ? ' --tag next' : '';
  return `npm publish ${tarball} --access public --provenance${tag}`;
};

/**
 * The script that publishes a release.
 *
 * @param {string[]} tarballs in the order of publishing, by paths relative to the repository
 * @param {string} version
 */
export const publishScript = (tarballs, version) =>
  ['#!/bin/sh', 'set -e', ...tarballs.map((tarball) => publishCommand(tarball, version)), ''].join('\n');

/**
 * What is wrong with the package.json of a packed package, a line each.
 *
 * @param {import('./workspace.mjs').Manifest} packed
 * @param {string} version of the release
 * @param {string[]} names of all packages of the release
 */
export const packedViolations = (packed, version, names) => {
  const { name } = packed;
  const violations = packed.version === version ? [] : [`${name} has the version ${packed.version}, not ${version}`];
  const ranges = Object.entries({ ...packed.dependencies, ...packed.peerDependencies });
  for (const [dependency, range] of ranges) {
    if (range.includes(':'))
      violations.push(`${name} depends on ${dependency} as "${range}", which npm cannot install`);
    else if (names.includes(dependency) && range !== version) {
      violations.push(`${name} depends on ${dependency} ${range}, not ${version}`);
    }
  }
  return violations;
};
