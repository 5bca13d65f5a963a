import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { filesIn, textIn } from './overlay.js';
import type { Programs } from './parts.js';
import { SOURCES } from './sources.js';

/** The defect is in nothing that a program runs. */
class UnusedDefectError extends Error {}

/**
 * Puts a program and all packages it uses, from source, into one file.
 *
 * @param overlay - sources that stand in the place of others, such as those with a defect
 * @returns the sources of the overlay that the program does not use
 */
async function bundle(root: string, program: string, outfile: string, overlay: string): Promise<readonly string[]> {
  const unused = new Set(filesIn(overlay));
  await buildOne(root, program, outfile, [overlaid(root, overlay, (file) => unused.delete(file))]);
  return [...unused];
}

/** Reads all packages from source, and the sources of an overlay in the place of others. */
const overlaid = (root: string, overlay: string, use: (file: string) => void): Plugin => ({
  name: 'overlay',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@walstack\// }, ({ path }) => {
      const source = SOURCES[path];
      return source === undefined ? undefined : { path: join(root, source) };
    });
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const file = relative(root, path);
      const contents = textIn(overlay, file);
      if (contents === undefined) return undefined;
      use(file);
      return { contents, loader: 'ts' };
    });
  },
});

async function buildOne(root: string, program: string, outfile: string, plugins: Plugin[]): Promise<void> {
  await build({
    entryPoints: [join(root, program)],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'silent',
    plugins,
  });
}

/** Puts the program of a worker thread and all packages it uses into one file. */
export async function workerWith(root: string, program: string, outfile: string, overlay: string): Promise<void> {
  const built: Plugin = {
    name: 'addon',
    setup({ onResolve }) {
      // The addon is found beside its package.
      const path = pathToFileURL(join(root, 'packages/native/dist/index.js')).href;
      onResolve({ filter: /^@walstack\/native$/ }, () => ({ path, external: true }));
    },
  };
  await buildOne(root, program, outfile, [built, overlaid(root, overlay, () => {})]);
}

/**
 * Puts a program and all packages it uses into one file, with a defect.
 *
 * @throws `UnusedDefectError` when the program does not have it
 */
export async function bundleWith(root: string, program: string, outfile: string, overlay: string): Promise<void> {
  const unused = await bundle(root, program, outfile, overlay);
  if (unused.length === 0) return;
  throw new UnusedDefectError(`${program} does not use ${unused.join(', ')}: the defect is in nothing that is run`);
}

/** Makes the programs of the checks, and says which sources of the overlay the exploration does not use. */
export async function programsWith(
  root: string,
  folder: string,
  overlay: string,
): Promise<{ readonly programs: Programs; readonly unexplored: readonly string[] }> {
  const programs = { root, explore: join(folder, 'explore.js'), fuzz: join(folder, 'fuzz.js') };
  const unexplored = await bundle(root, 'harness/src/mutants/trial.ts', programs.explore, overlay);
  await bundle(root, 'harness/src/mutants/fuzz-trial.ts', programs.fuzz, overlay);
  return { programs, unexplored };
}
