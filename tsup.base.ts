import { defineConfig, type Options } from 'tsup';

type Plugin = NonNullable<Options['plugins']>[number];

/**
 * Gives classes that name themselves their own names back: esbuild makes `var Wal = class _Wal {}` of them, and `_Wal` would be
 * what `Wal.name` and stack traces say. Not `keepNames`, which wraps every function.
 */
const classNames: Plugin = {
  name: 'class-names',
  renderChunk(code) {
    const renamed = [...code.matchAll(/^(?:var|let|const) (\w+) = class _\1\b/gm)].map(([, name]) => name);
    if (renamed.length === 0) return undefined;
    // Inside such a class `_Wal` and `Wal` are the same class. The line breaks stay, so the source map fits.
    return { code: code.replace(new RegExp(`\\b_(${renamed.join('|')})\\b`, 'g'), '$1') };
  },
};

/** One build for every package: ES modules, types beside them, for the oldest Node that is supported. */
export const packageBuild = (entry: Options['entry'] = ['src/index.ts']) =>
  defineConfig({
    entry: entry ?? ['src/index.ts'],
    format: ['esm'],
    target: 'node20',
    platform: 'node',
    dts: true,
    sourcemap: true,
    clean: true,
    treeshake: true,
    plugins: [classNames],
  });
