import { defineConfig } from 'tsup';

export default defineConfig({
  entry: {
    torture: 'src/torture/main.ts',
    'torture-child': 'src/torture/child.ts',
    'torture-worker': 'src/torture/worker.ts',
  },
  format: ['esm'],
  target: 'node20',
  platform: 'node',
  clean: true,
});
