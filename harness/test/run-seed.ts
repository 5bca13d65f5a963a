import process from 'node:process';

/** What a run of the tests leaves to chance comes from this seed; vitest.config.ts says where it comes from. */
export const RUN_SEED = Number(process.env['WALSTACK_TEST_SEED']);
