import { defineConfig, type Options } from 'tsup';

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
  });
