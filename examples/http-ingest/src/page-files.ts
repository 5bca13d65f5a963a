import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { FastifyInstance } from 'fastify';

const uplot = new URL('./', pathToFileURL(createRequire(import.meta.url).resolve('uplot')));
const here = new URL('./', import.meta.url);

const SCRIPT = 'text/javascript; charset=utf-8';
const STYLE = 'text/css; charset=utf-8';

/** The files of the page by their paths; uPlot's are those that are installed. */
const FILES: readonly (readonly [path: string, type: string, file: URL])[] = [
  ['/', 'text/html; charset=utf-8', new URL('../public/index.html', here)],
  ['/page.css', STYLE, new URL('../public/page.css', here)],
  ['/page.js', SCRIPT, new URL('../dist/page/page.js', here)],
  ['/uplot.js', SCRIPT, new URL('./uPlot.esm.js', uplot)],
  ['/uplot.css', STYLE, new URL('./uPlot.min.css', uplot)],
];

/** Serves the page. */
export function servePage(app: FastifyInstance): void {
  for (const [path, type, file] of FILES) {
    const content = readFileSync(file);
    app.get(path, (_request, reply) => reply.header('cache-control', 'no-cache').type(type).send(content));
  }
}
