import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isCode, writtenFiles } from './source-files.mjs';

/** What is tested, and what tests it. */
const folders = ['harness', 'packages'];

/**
 * What the tests leave to chance comes from this seed: a number from 1 to 2^31 - 1. By default it is a hash of the sources,
 * so that the same sources meet the same inputs on every machine, and other sources meet others.
 *
 * @param {string} root
 * @param {string | undefined} asked `WALSTACK_TEST_SEED`: a seed, or `random` for a new one
 */
export const testSeed = (root, asked) => {
  if (asked === undefined || asked === '') return hashOfSources(root);
  if (asked === 'random') return Math.floor(1 + Math.random() * (2 ** 31 - 1));
  const seed = Number(asked);
  if (!Number.isInteger(seed) || seed < 1 || seed >= 2 ** 31) {
    throw new Error(`WALSTACK_TEST_SEED must be an integer from 1 to ${2 ** 31 - 1}, or 'random', and is '${asked}'.`);
  }
  return seed;
};

/** @param {string} root */
const hashOfSources = (root) => {
  const hash = createHash('sha256');
  for (const folder of folders) {
    for (const file of writtenFiles(join(root, folder)).filter(isCode)) {
      hash.update(`${folder}/${file}\0`).update(readFileSync(join(root, folder, file)));
    }
  }
  return 1 + (hash.digest().readUInt32BE() % (2 ** 31 - 1));
};
