import type { DefaultTheme } from 'vitepress';
import { pagesIn, placeOf, readmesIn, titleOf } from './places.js';

type Item = DefaultTheme.SidebarItem;

/** The pages of the site in groups, in the order in which they are read, with their names in the menu. */
const groups: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Begin: {
    'README.md': 'walstack',
  },
  'Run it': {
    'docs/durability.md': 'Durability',
    'docs/operations.md': 'Operations',
    'docs/encryption.md': 'Encryption, compression',
    'docs/following.md': 'Following',
    'docs/observability.md': 'Statistics, metrics',
  },
  'Understand it': {
    'docs/architecture.md': 'Architecture',
    'docs/format.md': 'On-disk format',
    'docs/reliability.md': 'Reliability',
    'docs/glossary.md': 'Glossary',
    'docs/parity.md': 'The reference APIs',
  },
  'Look up': {
    'docs/api.md': 'All public names',
    'docs/upgrading.md': 'Upgrading',
    'benchmarks/results/README.md': 'Benchmark results',
    'CONTRIBUTING.md': 'Contributing',
  },
};

const itemOf = (page: string, text = titleOf(page)): Item => ({ text, link: `/${placeOf(page)}` });

/** The menu beside every page. Pages of docs/ that are in no group come behind them, by their headings. */
export function menu(): Item[] {
  const grouped = Object.entries(groups).map(([text, pages]) => ({
    text,
    items: Object.entries(pages).map(([page, name]) => itemOf(page, name)),
  }));
  const named = new Set(Object.values(groups).flatMap((pages) => Object.keys(pages)));
  const others = pagesIn('docs').filter((page) => !named.has(page));
  return [
    ...grouped,
    ...(others.length === 0 ? [] : [{ text: 'More', items: others.map((page) => itemOf(page)) }]),
    { text: 'Packages', collapsed: true, items: readmesIn('packages').map((page) => itemOf(page)) },
    { text: 'Examples', collapsed: true, items: readmesIn('examples').map((page) => itemOf(page)) },
    { text: 'Decisions', collapsed: true, items: pagesIn('docs/decisions').map((page) => itemOf(page)) },
  ];
}
