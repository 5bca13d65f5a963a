// Looks at the packages as people get them: unpacks what `npm test` has packed into a folder outside the repository,
// side by side as an install would lay them, loads every entry point both by import and by require(), and runs programs that use
// them, in JavaScript and in TypeScript, with the addon and without. `pnpm test:packages` does the same with an install by npm.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { layProject, programFailures, typeScriptFailures, useFailures } from './lib/consumer.mjs';
import { unpackPackages } from './lib/unpacked-packages.mjs';
import { readManifest, repositoryRoot } from './lib/workspace.mjs';

/** @typedef {import('./lib/workspace.mjs').Member} Member */

/** @type {Record<string, (specifier: string) => string[]>} Programs that print the names a module exports. */
const loaders = {
  import: (specifier) => [
    '--input-type=module',
    `--eval=import * as entry from '${specifier}'; console.log(Object.keys(entry).sort().join(' '))`,
  ],
  require: (specifier) => [
    '--input-type=commonjs',
    `--eval=console.log(Object.keys(require('${specifier}')).sort().join(' '))`,
  ],
};

/** @param {string} folder */
const hasLicense = (folder) => {
  const file = join(folder, 'LICENSE');
  return existsSync(file) && readFileSync(file, 'utf8') === readFileSync(join(repositoryRoot, 'LICENSE'), 'utf8');
};

/**
 * pnpm adds the root's license to a package that has none, npm does not: the package's own folder is looked at too.
 *
 * @param {Member} member
 * @param {string} folder
 */
const missingFiles = (member, folder) => {
  const { name } = member.manifest;
  const violations = existsSync(join(folder, 'README.md')) ? [] : [`${name} comes without README.md`];
  if (![folder, join(repositoryRoot, member.folder)].every(hasLicense)) {
    violations.push(`${name} comes without the LICENSE of the repository`);
  }
  return violations;
};

/** The entry points that are modules. @param {string} folder */
const entryPointsOf = (folder) => {
  const { name, exports } = readManifest(folder);
  const entries = Object.entries(typeof exports === 'object' ? exports : {});
  return entries.filter(([, target]) => typeof target !== 'string').map(([entry]) => `${name}${entry.slice(1)}`);
};

/** @param {string} entryPoint @param {string} consumer */
const loadFailures = (entryPoint, consumer) => {
  // The first versions that load ES modules by require() call that experimental; it is theirs to say, not a fault here.
  const quiet = '--disable-warning=ExperimentalWarning';
  const results = Object.entries(loaders).map(([form, program]) => ({
    form,
    ...spawnSync(process.execPath, [quiet, ...program(entryPoint)], {
      cwd: consumer,
      encoding: 'utf8',
      timeout: 60_000,
    }),
  }));
  const failures = results
    .filter(({ status, stderr }) => status !== 0 || stderr !== '')
    .map(({ form, stderr }) => `${entryPoint} does not load quietly by ${form}: ${stderr}`);
  const [first, second] = results.map(({ stdout }) => stdout.trim());
  if (failures.length === 0 && (first === '' || first !== second)) {
    failures.push(`${entryPoint} exports "${first}" by import and "${second}" by require`);
  }
  return failures;
};

/**
 * The addon's binary: of the package where it contains one for this platform, otherwise the one that was built here, where a
 * release would have it. Says whether there is any.
 *
 * @param {string} folder of the package that has it
 */
const hasBinary = (folder) => {
  const prebuilds = join(folder, 'prebuilds', `${process.platform}-${process.arch}`);
  if (existsSync(prebuilds) && readdirSync(prebuilds).some((name) => name.endsWith('.node'))) return true;
  const built = join(repositoryRoot, 'packages', 'native', 'build', 'Release', 'walstack.node');
  if (!existsSync(built)) return false;
  mkdirSync(prebuilds, { recursive: true });
  copyFileSync(built, join(prebuilds, 'walstack.node'));
  return true;
};

const consumer = mkdtempSync(join(tmpdir(), 'walstack-consumer-'));
const { packages, violations: unpacked } = unpackPackages(join(consumer, 'node_modules'));
layProject(consumer);
const hasAddon = hasBinary(join(consumer, 'node_modules', '@walstack', 'native'));
/** @type {import('./lib/consumer.mjs').Consumer} */
const project = { folder: consumer, node: [process.execPath], hasAddon };
const violations = [
  ...unpacked,
  ...packages.flatMap(({ member, folder }) => missingFiles(member, folder)),
  ...packages.flatMap(({ folder }) => entryPointsOf(folder)).flatMap((entry) => loadFailures(entry, consumer)),
  ...useFailures(project),
  ...typeScriptFailures(project),
  ...programFailures(
    project,
    packages.map(({ member }) => member.manifest.name),
  ),
];
rmSync(consumer, { recursive: true });
for (const violation of violations) {
  process.stdout.write(`${violation}\n`);
}
process.exitCode = violations.length === 0 ? 0 : 1;
