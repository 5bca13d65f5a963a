// Loaded before every test file: property tests without a seed of their own take that of the run.
import process from 'node:process';
import { configureGlobal, readConfigureGlobal } from 'fast-check';

configureGlobal({ ...readConfigureGlobal(), seed: Number(process.env['WALSTACK_TEST_SEED']) });
