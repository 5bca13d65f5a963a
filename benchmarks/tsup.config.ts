import { defineConfig } from 'tsup';

export default defineConfig({
  entry: [
    'src/main.ts',
    'src/report.ts',
    'src/bytes-worker.ts',
    'src/cold-work.ts',
    'src/crowd.ts',
    'src/percore-worker.ts',
    'src/idle-memory.ts',
    'src/memory-of-replay.ts',
    'src/replay-worker.ts',
  ],
  format: ['esm'],
  target: 'node20',
  platform: 'node',
  clean: true,
});
