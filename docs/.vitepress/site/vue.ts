import type { Plugin } from 'vite';

/**
 * Leaves Vue to Node.js while pages are rendered: the pages are outside of the folder in which it is installed, and what is
 * built of them is inside.
 */
export const vueOfSite: Plugin = {
  name: 'vue-of-site',
  enforce: 'pre',
  resolveId(name, _importer, { ssr }) {
    return ssr === true && /^vue(?:\/|$)/.test(name) ? { id: name, external: true } : undefined;
  },
};
