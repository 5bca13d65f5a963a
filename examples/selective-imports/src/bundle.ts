import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { build, type Metafile } from 'esbuild';

/** A program bundled to one file. */
export interface Bundle {
  readonly path: string;
  /** Names of the packages that it contains code of, without their scope. */
  readonly packages: readonly string[];
  readonly minifiedBytes: number;
  readonly gzippedBytes: number;
}

/** Bundles a program for Node.js. */
export async function bundle(program: string, outfile: string): Promise<Bundle> {
  const { metafile } = await build({
    entryPoints: [program],
    outfile,
    bundle: true,
    minify: true,
    metafile: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'error',
  });
  const bytes = readFileSync(outfile);
  return {
    path: outfile,
    packages: packagesIn(metafile),
    minifiedBytes: bytes.length,
    gzippedBytes: gzipSync(bytes).length,
  };
}

/** The packages of the workspace that have contributed bytes. */
function packagesIn({ outputs }: Metafile): string[] {
  const inputs = Object.values(outputs).flatMap((output) => Object.entries(output.inputs));
  const used = inputs.filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([path]) => path);
  const names = used.flatMap((path) => /(?:packages|@walstack)\/([^/]+)\/dist\//.exec(path)?.[1] ?? []);
  return [...new Set(names)].sort();
}
