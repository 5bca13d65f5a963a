import { readFileSync } from 'node:fs';
import { basename, join, posix } from 'node:path';
import { cyclesOf } from './cycles.mjs';
import {
  importViolations,
  isPackage,
  isRelative,
  isTest,
  packageIn,
  runtimeDependencies,
  scope,
} from './import-rules.mjs';
import { importsOf } from './imports.mjs';
import { isCode, writtenFiles } from './source-files.mjs';
import { workspaceMembers } from './workspace.mjs';

/**
 * @typedef {import('./import-rules.mjs').Member} Member
 * @typedef {import('./import-rules.mjs').Use} Use
 *
 * @typedef {object} Rules
 * @property {Record<string, string[]>} mayImport by folder name under packages/, lowest layer first
 * @property {Record<string, string>} outsideDependencies the reason, by name
 */

/**
 * Configuration is neither part of a package nor a test of it: it may reach for what all packages share.
 *
 * @param {string} file
 */
const isConfiguration = (file) => /^[^/]+\.config\.[cm]?[jt]s$/.test(file);

/** @param {Member} member @param {string} root @returns {Use[]} */
const usesOf = (member, root) => {
  const folder = join(root, member.folder);
  const files = writtenFiles(folder).filter((file) => isCode(file) && !isConfiguration(file));
  return files.flatMap((file) =>
    importsOf(file, readFileSync(join(folder, file), 'utf8')).map((found) => ({ member, file, ...found })),
  );
};

/** @param {Member} member @param {Rules} rules */
const placeViolations = ({ folder, manifest }, { mayImport }) => {
  const folderName = basename(folder);
  const violations = [];
  if (!(folderName in mayImport)) {
    violations.push('has no place in the table of layers');
  }
  if (manifest.name !== `${scope}${folderName}`) {
    violations.push(`is named ${manifest.name}, not ${scope}${folderName} as its folder`);
  }
  return violations;
};

/** @param {Member} member @param {Use[]} uses @param {Rules} rules */
const dependencyViolations = (member, uses, { outsideDependencies }) => {
  const imported = new Set(uses.filter(({ file }) => !isTest(file)).map(({ specifier }) => packageIn(specifier)));
  return runtimeDependencies(member.manifest).flatMap((name) => {
    if (name.startsWith(scope)) {
      return imported.has(name) ? [] : [`declares ${name} and does not import it`];
    }
    const isAccepted = !isPackage(member) || name in outsideDependencies;
    return isAccepted
      ? []
      : [`depends on ${name} from outside the workspace, which the table of reasons does not list`];
  });
};

/**
 * The file that a relative import means. TypeScript's files are imported by the name of what they compile to.
 *
 * @param {Use} use
 * @param {Set<string>} files
 */
const importedFile = ({ file, specifier }, files) => {
  const target = posix.join(posix.dirname(file), specifier);
  return [target, target.replace(/\.([cm]?)js$/, '.$1ts')].find((candidate) => files.has(candidate));
};

/** @param {Use[]} uses */
const cycleViolations = (uses) => {
  /** @type {Map<string, string[]>} */
  const graph = new Map(uses.map(({ file }) => [file, []]));
  const files = new Set(graph.keys());
  for (const use of uses.filter(({ specifier }) => isRelative(specifier))) {
    const target = importedFile(use, files);
    if (target !== undefined) {
      graph.get(use.file)?.push(target);
    }
  }
  return cyclesOf(graph).map((cycle) => `has files that import each other: ${cycle.join(' -> ')}`);
};

/** @param {Member} member @param {Member[]} members @param {string} root @param {Rules} rules */
const memberViolations = (member, members, root, rules) => {
  const uses = usesOf(member, root);
  const ofTheWhole = [
    ...(isPackage(member) ? placeViolations(member, rules) : []),
    ...dependencyViolations(member, uses, rules),
    ...cycleViolations(uses),
  ];
  const ofImports = uses.flatMap((use) =>
    importViolations(use, { members, mayImport: rules.mayImport }).map((violation) => ({ use, violation })),
  );
  return [
    ...ofTheWhole.map((violation) => `${member.folder} ${violation}`),
    ...ofImports.map(({ use, violation }) => `${member.folder}/${use.file}:${use.line} ${violation}`),
  ];
};

/** @param {Rules} rules */
const tableViolations = ({ mayImport }) => {
  const layers = Object.keys(mayImport);
  return layers.flatMap((layer, height) =>
    (mayImport[layer] ?? [])
      .filter((name) => !layers.slice(0, height).includes(name))
      .map((name) => `the table of layers lets ${layer} import ${name}, which does not lie below it`),
  );
};

/**
 * Everything in a workspace that breaks a rule of the layers, a line each; nothing where all is well.
 *
 * @param {string} root
 * @param {Rules} rules
 */
export const violationsOfLayers = (root, rules) => {
  const members = workspaceMembers(root);
  return [...tableViolations(rules), ...members.flatMap((member) => memberViolations(member, members, root, rules))];
};
