import { defineConfig } from 'vitest/config';

// For `vitest run` in this folder, or in a copy of it; the tests of the repository have their own.
export default defineConfig({
  test: {
    pool: 'forks',
    // Only a test that hangs is meant to meet these.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
