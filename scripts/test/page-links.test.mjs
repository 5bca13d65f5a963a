import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';
import { anchorOf } from '../../docs/.vitepress/site/anchors.mjs';
import { writtenFiles } from '../lib/source-files.mjs';
import { repositoryRoot } from '../lib/workspace.mjs';

const files = writtenFiles(repositoryRoot).filter((file) => !file.startsWith('data/'));
const names = new Set(files.map((file) => basename(file)));
const pages = files.filter((file) => file.endsWith('.md') && !file.startsWith('.changeset/'));

/** @param {string} file */
const textOf = (file) => readFileSync(join(repositoryRoot, file), 'utf8');

/** @param {string} file */
const anchorsIn = (file) => {
  const text = textOf(file).replace(/^```.*?^```/gms, '');
  const headings = text.split('\n').filter((line) => /^#+ /.test(line));
  const terms = [...text.matchAll(/<a id="([\w-]+)"><\/a>/g)].map(([, id = '']) => id);
  return [...headings.map((line) => anchorOf(line.replace(/^#+ /, ''))), ...terms];
};

/** The relative links of a page that lead nowhere. @param {string} page */
function brokenLinks(page) {
  return [...textOf(page).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : normalize(join(dirname(page), path));
      if (!existsSync(join(repositoryRoot, file))) return true;
      return anchor !== undefined && file.endsWith('.md') && !anchorsIn(file).includes(anchor);
    });
}

/** The source files that a page names in backticks and that do not exist. @param {string} page */
function missingFiles(page) {
  return [...textOf(page).matchAll(/`([\w./-]+\.(?:ts|mjs|cc|h))`/g)]
    .map(([, name = '']) => name)
    .filter((name) =>
      name.includes('/') ? !files.some((file) => `/${file}`.endsWith(normalize(`/${name}`))) : !names.has(name),
    );
}

test.each(pages)('the links of %s lead somewhere', (page) => {
  expect(brokenLinks(page)).toEqual([]);
});

// The pages on decisions name files as they were called then.
test.each(pages.filter((page) => !page.startsWith('docs/decisions/')))('the files that %s names exist', (page) => {
  expect(missingFiles(page)).toEqual([]);
});
