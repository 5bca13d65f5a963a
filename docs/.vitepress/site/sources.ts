import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Plugin } from 'vite';
import { linkedSources } from './links.js';
import { repository, sourceFolder } from './places.js';

/** Puts the sources that pages link to beside the pages, as plain text. */
export function copySources(site: string): void {
  for (const source of linkedSources) {
    const copy = join(site, sourceFolder, `${source}.txt`);
    mkdirSync(dirname(copy), { recursive: true });
    cpSync(join(repository, source), copy);
  }
}

/** Serves the same sources while pages are written. */
export const servedSources: Plugin = {
  name: 'sources-of-pages',
  configureServer({ middlewares }) {
    middlewares.use((request, response, next) => {
      const [, source = ''] = new RegExp(`^/${sourceFolder}/(.*)\\.txt$`).exec(request.url ?? '') ?? [];
      if (!linkedSources.has(source)) return next();
      response.setHeader('content-type', 'text/plain; charset=utf-8');
      response.end(readFileSync(join(repository, source)));
    });
  },
};
