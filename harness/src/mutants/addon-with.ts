import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import process from 'node:process';
import { changesOf, type Defect, withDefect } from './defect.js';

const PACKAGE = 'packages/native';

/** What a copy of the package does without: what is built, linked or found beside it. */
const LEFT_OUT = new Set(['build', 'dist', 'node_modules', 'test', 'tsconfig.json']);

/** Whether a defect is in the addon's source, which has to be compiled. */
export const isInAddon = (defect: Defect): boolean =>
  changesOf(defect).some(({ file }) => file.startsWith(`${PACKAGE}/addon/`));

/**
 * Compiles the addon with a defect in it, in a copy of its package.
 *
 * @param folder - where the copy goes
 * @returns the copy
 * @throws `Error` when it does not compile
 */
export function addonWith(root: string, folder: string, defect: Defect): string {
  const copy = join(folder, `native-${defect.name}`);
  const original = join(root, PACKAGE);
  cpSync(original, copy, { recursive: true, filter: (path) => !LEFT_OUT.has(basename(path)) });
  symlinkSync(join(original, 'node_modules'), join(copy, 'node_modules'));
  for (const { file } of changesOf(defect)) {
    const path = join(copy, relative(PACKAGE, file));
    writeFileSync(path, withDefect(defect, file, readFileSync(path, 'utf8')));
  }
  const { WALSTACK_NATIVE: _, ...env } = process.env;
  spawnSync(process.execPath, [join(copy, 'scripts', 'build-addon.mjs')], { env });
  if (existsSync(join(copy, 'build', 'Release', 'walstack.node'))) return copy;
  throw new Error(`the addon does not compile with the defect ${defect.name}: ${join(copy, 'build-failure.log')}`);
}
