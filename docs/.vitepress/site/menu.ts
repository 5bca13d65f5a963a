import type { DefaultTheme } from 'vitepress';
import { pagesIn, placeOf, readmesIn, titleOf } from './places.js';

type Item = DefaultTheme.SidebarItem;

/** The pages of the site in groups, in the order in which they are read, with their names in the menu. */
const groups: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Begin: {
    'README.md': 'walstack',
    'docs/start-here.md': 'Start here',
    'docs/which-layer.md': 'Which layer',
    'docs/which-backend.md': 'Which backend',
    'docs/comparison.md': 'Comparison',
  },
  Recipes: {
    'docs/recipes/README.md': 'All recipes',
    'docs/recipes/key-value-store.md': 'Key-value store',
    'docs/recipes/queue.md': 'Queue',
    'docs/recipes/event-store.md': 'Event store',
    'docs/recipes/ingest.md': 'Ingest over HTTP',
    'docs/recipes/outbox.md': 'Outbox beside SQL',
    'docs/recipes/audit-log.md': 'Audit log',
  },
  'Use it': {
    'docs/following.md': 'Following',
    'docs/encryption.md': 'Encryption, compression',
    'docs/replication.md': 'Replication',
    'docs/scale.md': 'Scale',
    'docs/writing-a-backend.md': 'Writing a backend',
  },
  'Run it': {
    'docs/operations.md': 'Operations',
    'docs/observability.md': 'Statistics, metrics',
    'docs/monitoring/README.md': 'Monitoring',
    'docs/durability.md': 'Durability',
    'docs/recovery.md': 'Recovery, with pictures',
    'docs/file-systems.md': 'File systems',
    'docs/upgrading.md': 'Upgrading',
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
    'benchmarks/results/README.md': 'Benchmark results',
    'CONTRIBUTING.md': 'Contributing',
  },
};

const itemOf = (page: string, text = titleOf(page)): Item => ({ text, link: `/${placeOf(page)}` });

/** The menu beside every page. Pages of docs/ and its recipes that are in no group come behind them, by their headings. */
export function menu(): Item[] {
  const grouped = Object.entries(groups).map(([text, pages]) => ({
    text,
    items: Object.entries(pages).map(([page, name]) => itemOf(page, name)),
  }));
  const named = new Set(Object.values(groups).flatMap((pages) => Object.keys(pages)));
  const others = [...pagesIn('docs'), ...pagesIn('docs/recipes')].filter((page) => !named.has(page));
  return [
    ...grouped,
    ...(others.length === 0 ? [] : [{ text: 'More', items: others.map((page) => itemOf(page)) }]),
    { text: 'Packages', collapsed: true, items: readmesIn('packages').map((page) => itemOf(page)) },
    { text: 'Examples', collapsed: true, items: readmesIn('examples').map((page) => itemOf(page)) },
    { text: 'Decisions', collapsed: true, items: pagesIn('docs/decisions').map((page) => itemOf(page)) },
  ];
}
