import { defineConfig } from 'tsup';

export default defineConfig({
  entry: [
    'src/main.ts',
    'src/codec-alone.ts',
    'src/storage-io-alone.ts',
    'src/reader-alone.ts',
    'src/segmented-alone.ts',
    'src/wal.ts',
  ],
  format: ['esm'],
  target: 'node20',
  platform: 'node',
  // Each program is to be bundled by itself.
  splitting: false,
  clean: true,
});
