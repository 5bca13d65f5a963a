import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { parseOptions, runCommand } from '../command-line.js';
import type { Defect } from './defect.js';
import { DEFECTS } from './defects/index.js';
import { bundleWith } from './patched-bundle.js';

const HELP = `pnpm mutants [--only NAME]

Switches on deliberate defects, one at a time, and looks whether the checks notice: power cuts and failing operations in
every scenario, then damaged logs. The exit code is 1 when a defect goes unnoticed.

  --only NAME  only this defect`;

const root = resolve(import.meta.dirname, '../..');

/** Programs that look for what is wrong, how they are asked, and what their last lines say when they find
 * something: an exit code alone may be that of a program that did not run. */
const CHECKS = [
  {
    name: 'explore',
    program: 'harness/src/mutants/trial.ts',
    found: /^found by /m,
    args: ({ scenario }: Defect) => [scenario ?? ''],
  },
  {
    name: 'fuzz',
    program: 'harness/src/fuzz/main.ts',
    found: /^FOUND in /m,
    args: () => ['--runs', '1500', '--seed', '7'],
  },
] as const;

/** What notices a defect; `undefined` when nothing does. */
async function noticed(defect: Defect, folder: string): Promise<string | undefined> {
  // What no scenario was made for is rather seen in single bytes.
  const checks = defect.scenario === undefined ? [...CHECKS].reverse() : CHECKS;
  for (const { name, program, found, args } of checks) {
    const file = join(folder, `${name}.js`);
    await bundleWith(root, program, file, defect);
    if (name === 'fuzz') await bundleWith(root, 'harness/src/fuzz/worker.ts', join(folder, 'fuzz-worker.js'), defect);
    const given = args(defect).filter((each) => each !== '');
    // From source there is no binary: the defects are in what runs everywhere.
    const env = { ...process.env, WALSTACK_NATIVE: '0' };
    const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...given], { env, encoding: 'utf8' });
    if (found.test(stdout)) return `${name}: ${lineWith(found, stdout)}`;
    if (status !== 0) throw new Error(`the check ${name} did not run: ${stderr}`);
  }
  return undefined;
}

const lineWith = (pattern: RegExp, text: string): string => text.split('\n').find((line) => pattern.test(line)) ?? '';

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
