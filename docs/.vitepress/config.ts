import { defineConfig } from 'vitepress';
import { anchorOf } from './site/anchors.mjs';
import { linksOfSite } from './site/links.js';
import { menu } from './site/menu.js';
import { noPages, placeOf, repository } from './site/places.js';
import { copySources, servedSources } from './site/sources.js';
import { vueOfSite } from './site/vue.js';

/** Three records, the last of them torn. */
const icon = `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="#0969da"><rect x="1" y="1" width="14" height="4" rx="1"/><rect x="1" y="6" width="14" height="4" rx="1"/><path d="M1 11h9l-2 2 2 2H1z"/></svg>`)}`;

export default defineConfig({
  title: 'walstack',
  description: 'A write-ahead log for Node.js, as a stack of small TypeScript packages',
  lang: 'en',
  head: [['link', { rel: 'icon', type: 'image/svg+xml', href: icon }]],
  srcDir: repository,
  srcExclude: noPages,
  rewrites: placeOf,
  metaChunk: true,
  markdown: {
    anchor: { slugify: anchorOf },
    config: linksOfSite,
  },
  vite: {
    plugins: [servedSources, vueOfSite],
    // The index of the search is one large chunk, which is loaded when something is searched for.
    build: { chunkSizeWarningLimit: 10_000 },
  },
  buildEnd: ({ outDir }) => copySources(outDir),
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    sidebar: menu(),
    nav: [
      { text: 'Pages', link: '/' },
      { text: 'API reference', link: '/reference/index.html', target: '_self' },
    ],
  },
});
