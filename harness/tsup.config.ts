import { defineConfig } from 'tsup';

export default defineConfig({
  entry: {
    torture: 'src/torture/main.ts',
    'torture-child': 'src/torture/workload/child.ts',
    'torture-core': 'src/torture/workload/core-worker.ts',
    'torture-worker': 'src/torture/workload/worker.ts',
    fuzz: 'src/fuzz/main.ts',
    'fuzz-worker': 'src/fuzz/worker.ts',
    work: 'src/fuzz/work.ts',
    explore: 'src/explore/main.ts',
    mutants: 'src/mutants/main.ts',
    'mutants-tests': 'src/mutants/tests/process.ts',
    powercut: 'src/powercut/main.ts',
    pictures: 'src/pictures/main.ts',
    'powercut-guest': 'src/powercut/guest/main.ts',
  },
  format: ['esm'],
  target: 'node20',
  platform: 'node',
  clean: true,
});
