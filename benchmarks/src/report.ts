/** `pnpm bench:report FILE…`: makes tables and charts of what `pnpm bench --json FILE` has written down. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type About, aboutPath } from './machine/about.js';
import { inPackage } from './machine/folders.js';
import { benchesOf, mergedCases } from './report/cases.js';
import { chart } from './report/chart.js';
import { origins, resultsPage } from './report/page.js';
import { withResults } from './report/readme.js';
import type { Row } from './rows/rows.js';

const HELP = `Makes tables and charts of measurements.

  pnpm bench:report FILE…   each written by pnpm bench --json FILE; where two have a case, the later one counts

  --into DIR     where to write README.md and a chart for each bench (default benchmarks/results); the README.md of the
                 folder above shows the charts`;

function main(): void {
  const standing = process.env['INIT_CWD'] ?? '.';
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { into: { type: 'string' } } });
  if (positionals.length === 0) {
    console.error(HELP);
    process.exitCode = 2;
    return;
  }
  const files = positionals.map((file) => resolve(standing, file));
  const into = values.into === undefined ? inPackage('results') : resolve(standing, values.into);
  const runs = files.map((file) => readJson(aboutPath(file)) as About);
  const cases = mergedCases(files.map((file) => readJson(file) as Row[]));
  mkdirSync(into, { recursive: true });
  writeFileSync(join(into, 'README.md'), resultsPage(cases, runs));
  const benches = benchesOf(cases);
  for (const [bench, members] of benches) writeFileSync(join(into, `${bench}.svg`), chart(bench, members));
  showIn(join(into, '../README.md'), [...benches.keys()], runs);
  console.log(`Written: ${into}`);
}

/** Shows the charts on the page of the benchmarks. */
function showIn(readme: string, benches: readonly string[], runs: readonly About[]): void {
  if (!existsSync(readme)) return;
  const charts = benches.map((bench) => `![${bench}](results/${bench}.svg)`);
  const text = [...origins(runs), ...charts, 'All figures: [results](results/README.md).'].join('\n\n');
  writeFileSync(readme, withResults(readFileSync(readme, 'utf8'), text));
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

main();
