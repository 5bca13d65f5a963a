import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { publishedMembers, repositoryRoot } from '../lib/workspace.mjs';

/** @param {string} folder */
const manifestIn = (folder) => JSON.parse(readFileSync(join(repositoryRoot, folder, 'package.json'), 'utf8'));

const ofRepository = manifestIn('.');
const site = 'https://github.com/walstack/walstack';

describe.each(publishedMembers(repositoryRoot).map(({ folder }) => ({ folder })))(
  '$folder/package.json',
  ({ folder }) => {
    const manifest = manifestIn(folder);

    test('says where its sources, its documentation and its issues are', () => {
      expect(manifest.repository).toEqual({ type: 'git', url: `git+${site}.git`, directory: folder });
      expect(manifest.homepage).toBe(`${site}/tree/main/${folder}#readme`);
      expect(manifest.bugs).toEqual({ url: `${site}/issues` });
    });

    test('has a description, keywords, the licence and the authors of the repository', () => {
      expect(manifest.description.length).toBeGreaterThan(20);
      expect(new Set(manifest.keywords).size).toBe(manifest.keywords.length);
      expect(manifest.keywords.length).toBeGreaterThanOrEqual(5);
      expect([manifest.license, manifest.author]).toEqual([ofRepository.license, ofRepository.author]);
    });

    test('is published for all versions of Node.js of the repository, and runs nothing when it is installed', () => {
      expect(manifest.engines).toEqual(ofRepository.engines);
      expect(manifest.publishConfig).toEqual({ access: 'public' });
      for (const script of ['preinstall', 'install', 'postinstall', 'prepare'])
        expect(manifest.scripts).not.toHaveProperty(script);
    });

    test('is looked at before it is packed', () => {
      expect(manifest.scripts.prepack).toMatch(/^node \.\.\/\.\.\/scripts\/prepack\.mjs(?: && |$)/);
    });
  },
);

test('all packages have one version', () => {
  const versions = publishedMembers(repositoryRoot).map(({ manifest }) => manifest.version);
  expect(new Set(versions).size).toBe(1);
});

test('the workflows use the pnpm of package.json', () => {
  const text = readFileSync(join(repositoryRoot, '.github', 'workflows', 'release.yml'), 'utf8');
  const used = new Set(text.match(/pnpm@[\d.]+/g));
  expect([...used]).toEqual([ofRepository.packageManager]);
});
