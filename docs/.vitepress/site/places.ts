import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the repository: the pages of the site are its Markdown files, where they are. */
export const repository = join(dirname(fileURLToPath(import.meta.url)), '../../..');

/** The Markdown files that are no pages of the site. */
export const noPages = ['.changeset/**', 'data/**', '**/dist/**', '**/CHANGELOG.md'];

/** Where the sources that pages link to are served, as plain text. */
export const sourceFolder = 'source';

/** Where a page of the repository is on the site. */
export function placeOf(page: string): string {
  const folder = posix.dirname(page).replace(/^docs(?:\/|$)/, '');
  const name = posix.basename(page);
  return posix.join(folder, name === 'README.md' ? 'index.md' : name);
}

/** The names in a folder of the repository, sorted. */
const namesIn = (folder: string): string[] => readdirSync(join(repository, folder)).sort();

/** The pages in a folder of the repository, without its README. */
export function pagesIn(folder: string): string[] {
  const pages = namesIn(folder).filter((name) => name.endsWith('.md') && name !== 'README.md');
  return pages.map((name) => `${folder}/${name}`);
}

/** The READMEs of the folders in a folder. */
export function readmesIn(folder: string): string[] {
  const readmes = namesIn(folder).map((name) => `${folder}/${name}/README.md`);
  return readmes.filter((readme) => existsSync(join(repository, readme)));
}

/**
 * The file of the repository that a relative link of a page leads to. A link to a folder leads to its README, or else
 * to the first page in it; where there is none, to nothing.
 */
export function fileOf(page: string, target: string): string | undefined {
  const path = posix.join(posix.dirname(page), decodeURIComponent(target)).replace(/\/$/, '');
  const place = join(repository, path);
  if (path.startsWith('..') || !existsSync(place)) return undefined;
  if (!statSync(place).isDirectory()) return path;
  const readme = `${path}/README.md`;
  return existsSync(join(repository, readme)) ? readme : pagesIn(path).find((found) => !found.startsWith('.'));
}

/** Whether a relative link of a page leads to a folder. */
export function isFolder(page: string, target: string): boolean {
  const place = join(repository, posix.dirname(page), decodeURIComponent(target));
  return existsSync(place) && statSync(place).isDirectory();
}

/** The first heading of a page: its name in the menu. */
export function titleOf(page: string): string {
  const [, title = page] = /^# (.*)$/m.exec(readFileSync(join(repository, page), 'utf8')) ?? [];
  return title.replaceAll('`', '');
}
