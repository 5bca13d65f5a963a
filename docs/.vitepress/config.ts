import { defineConfig } from 'vitepress';
import { anchorOf } from './site/anchors.mjs';
import { linksOfSite } from './site/links.js';
import { menu } from './site/menu.js';
import { noPages, placeOf, repository } from './site/places.js';
import { copySources, servedSources } from './site/sources.js';
import { vueOfSite } from './site/vue.js';

export default defineConfig({
  title: 'walstack',
  description: 'A write-ahead log for Node.js, as a stack of small TypeScript packages',
  lang: 'en',
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
