import { defineConfig } from 'tsup';

export default defineConfig({
  entry: ['src/main.ts', 'src/writer.ts'],
  format: ['esm'],
  target: 'node20',
  platform: 'node',
  clean: true,
});
