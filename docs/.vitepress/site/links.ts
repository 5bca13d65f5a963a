import { relative } from 'node:path';
import type { MarkdownRenderer } from 'vitepress';
import { fileOf, isFolder, placeOf, repository, sourceFolder } from './places.js';

type Token = ReturnType<MarkdownRenderer['parse']>[number];

/** The sources that pages link to. */
export const linkedSources = new Set<string>();

/** The link of the site for a relative link of a page: to a page, or to a source as text. */
function linkOnSite(page: string, href: string): string | undefined {
  const [path = '', anchor] = href.split('#');
  const file = fileOf(page, path);
  if (file === undefined) return isFolder(page, path) ? undefined : href;
  if (file.endsWith('.md')) return `/${placeOf(file)}${anchor === undefined ? '' : `#${anchor}`}`;
  linkedSources.add(file);
  return `/${sourceFolder}/${file}.txt`;
}

/** Makes the links among these tokens those of the site. A folder without a page has none: its name stays, as text. */
function changeLinks(page: string, tokens: Token[]): void {
  let withoutLink = false;
  for (const token of tokens) {
    if (token.type === 'link_close' && withoutLink) {
      token.type = 'text';
      withoutLink = false;
    }
    const href = token.type === 'link_open' ? token.attrGet('href') : null;
    if (href === null || href.startsWith('#') || /^[a-z]+:/i.test(href)) continue;
    const link = linkOnSite(page, href);
    withoutLink = link === undefined;
    if (link === undefined) token.type = 'text';
    else token.attrSet('href', link);
  }
}

/** Makes the links that lead from file to file in the repository lead from page to page of the site. */
export function linksOfSite(markdown: MarkdownRenderer): void {
  markdown.core.ruler.push('links-of-site', ({ tokens, env }) => {
    const page = relative(repository, env.realPath ?? env.path).replaceAll('\\', '/');
    for (const { children } of tokens) changeLinks(page, children ?? []);
  });
}
