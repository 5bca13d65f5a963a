import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { parseOptions, runCommand } from '../command-line.js';
import { checksFor } from './checks.js';
import type { Defect } from './defect.js';
import { DEFECTS } from './defects/index.js';

const HELP = `pnpm mutants [--only NAME]

Switches on deliberate defects, one at a time, and looks whether the checks notice: power cuts and failing operations in
every scenario, damaged logs, or the tests of a package. The exit code is 1 when a defect goes unnoticed.

  --only NAME  only this defect`;

const root = resolve(import.meta.dirname, '../..');

/** What notices a defect; `undefined` when nothing does. */
async function noticed(defect: Defect, folder: string): Promise<string | undefined> {
  for (const check of checksFor(defect)) {
    const by = await check(defect, { root, folder });
    if (by !== undefined) return by;
  }
  return undefined;
}

await runCommand(HELP, async () => {
  const { help, only } = parseOptions(process.argv.slice(2), ['only']);
  if (help === true) {
    console.log(HELP);
    return 0;
  }
  const chosen = DEFECTS.filter(({ name }) => only === undefined || name === only);
  if (chosen.length === 0) throw new Error(`there is no defect ${only}`);
  const folder = mkdtempSync(join(tmpdir(), 'walstack-mutants-'));
  let caught = 0;
  for (const defect of chosen) {
    const by = await noticed(defect, folder);
    if (by !== undefined) caught++;
    console.log(
      `${by === undefined ? 'UNNOTICED' : 'caught   '} ${defect.name}: ${defect.breaks}\n          ${by ?? ''}`,
    );
  }
  rmSync(folder, { recursive: true });
  console.log(`mutants: ${chosen.length} defects, ${caught} caught`);
  return caught === chosen.length ? 0 : 1;
});
