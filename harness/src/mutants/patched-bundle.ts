import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { changesOf, type Defect, withDefect } from './defect.js';
import { SOURCES } from './sources.js';

/** The defect is in nothing that a program runs. */
export class UnusedDefectError extends Error {}

/**
 * Puts a program and all packages it uses, from source, into one file: with a defect, or without any.
 *
 * @throws {@link UnusedDefectError}
 */
export async function bundleWith(
  root: string,
  program: string,
  outfile: string,
  defect: Defect | undefined,
): Promise<void> {
  const untouched = new Set(defect === undefined ? [] : changesOf(defect).map(({ file }) => file));
  const plugin: Plugin = {
    name: 'defect',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^@walstack\// }, ({ path }) => {
        const source = SOURCES[path];
        return source === undefined ? undefined : { path: join(root, source) };
      });
      if (defect === undefined) return;
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const file = relative(root, path);
        if (!untouched.delete(file)) return undefined;
        return { contents: withDefect(defect, file, readFileSync(path, 'utf8')), loader: 'ts' };
      });
    },
  };
  await build({
    entryPoints: [join(root, program)],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'silent',
    plugins: [plugin],
  });
  if (untouched.size > 0) {
    throw new UnusedDefectError(
      `${program} does not use ${[...untouched].join(', ')}: the defect is in nothing that is run`,
    );
  }
}
