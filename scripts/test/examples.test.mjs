import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exampleMembers } from '../lib/example-copies.mjs';
import { repositoryRoot } from '../lib/workspace.mjs';

/** @param {string} file */
const textOf = (file) => readFileSync(join(repositoryRoot, file), 'utf8');
/** @param {string} file */
const jsonOf = (file) => JSON.parse(textOf(file));

const ofRepository = jsonOf('package.json');
const { compilerOptions: base } = jsonOf('tsconfig.base.json');
const tools = ['@types/node', 'tsup', 'typescript', 'vitest'];

// `scripts/check-examples.mjs` builds copies of them.
describe.each(exampleMembers())('$folder', ({ folder, manifest }) => {
  test('declares the tools that its scripts need, in the versions of the repository', () => {
    for (const name of tools) expect(manifest.devDependencies?.[name], name).toBe(ofRepository.devDependencies[name]);
    const { scripts } = jsonOf(`${folder}/package.json`);
    expect(scripts).toMatchObject({ build: 'tsup', typecheck: 'tsc', test: 'vitest run', start: 'node dist/main.js' });
  });

  test('is compiled as strictly as the repository, by a configuration that needs nothing outside', () => {
    const { extends: above, compilerOptions } = jsonOf(`${folder}/tsconfig.json`);
    expect(above).toBeUndefined();
    const { lib, ...others } = compilerOptions;
    const { lib: leastLib, ...expected } = base;
    expect(others).toEqual(expected);
    expect(lib).toEqual(expect.arrayContaining(leastLib));
  });

  test('has configurations and scripts that name nothing outside of its folder', () => {
    const files = readdirSync(join(repositoryRoot, folder)).filter((name) => /\.(?:json|ts)$/.test(name));
    for (const name of files) expect(textOf(`${folder}/${name}`), name).not.toContain('../..');
  });
});
