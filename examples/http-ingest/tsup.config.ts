import { defineConfig } from 'tsup';

export default defineConfig([
  {
    entry: ['src/main.ts', 'src/load.ts'],
    format: ['esm'],
    target: 'node20',
    platform: 'node',
    // The page is built at the same time.
    clean: ['!page/**'],
  },
  {
    // Beside what is imported from `uplot`, which the page gets from node_modules.
    entry: ['src/page/page.ts'],
    outDir: 'dist/page',
    format: ['esm'],
    target: 'es2022',
    platform: 'browser',
    external: ['uplot'],
    clean: true,
  },
]);
