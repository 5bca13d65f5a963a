import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readManifest } from './workspace.mjs';

/**
 * The files that a part of a package.json names: `exports` and `bin` are strings, or objects of them, at any depth.
 *
 * @param {unknown} value
 * @returns {string[]}
 */
export const filesIn = (value) => {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(filesIn) : [];
};

/** Every file that a package promises to have. @param {import('./workspace.mjs').Manifest} manifest */
export const promisedFiles = ({ exports, bin }) => [...new Set([...filesIn(exports), ...filesIn(bin)])];

/**
 * What keeps a package from being packed, a line each.
 *
 * @param {string} folder of the package
 * @param {NodeJS.ProcessEnv} environment
 */
export const packViolations = (folder, environment) => {
  const manifest = readManifest(folder);
  const missing = promisedFiles(manifest).filter((file) => !existsSync(join(folder, file)));
  const violations = missing.map((file) => `${file} is missing: build the package first (pnpm build)`);
  const dependencies = Object.values({ ...manifest.dependencies, ...manifest.peerDependencies });
  const packer = environment['npm_config_user_agent'] ?? '';
  if (dependencies.some((range) => range.startsWith('workspace:')) && !packer.startsWith('pnpm/')) {
    violations.push('its dependencies are "workspace:" ranges, which only pnpm replaces by versions: use pnpm pack');
  }
  return violations;
};
