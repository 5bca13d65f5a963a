import { defineConfig } from 'tsup';

export default defineConfig({
  entry: {
    main: 'src/main.ts',
    report: 'src/report.ts',
    'bytes-worker': 'src/benches/native/bytes-worker.ts',
    'cold-work': 'src/benches/cold/cold-work.ts',
    crowd: 'src/benches/crowds/crowd.ts',
    'percore-worker': 'src/benches/percore/percore-worker.ts',
    'idle-memory': 'src/benches/log/idle-memory.ts',
    'memory-of-replay': 'src/benches/replay/memory-of-replay.ts',
    scale: 'src/scale/main.ts',
    'replay-worker': 'src/benches/replay/replay-worker.ts',
  },
  format: ['esm'],
  target: 'node20',
  platform: 'node',
  clean: true,
});
