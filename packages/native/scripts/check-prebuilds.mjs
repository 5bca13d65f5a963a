// Before the package is packed: every binary of a release is in prebuilds/, and made from the present sources. What is packed
// for the checks of the repository (WALSTACK_PACK=checks) may be without, and is no release.
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import process from 'node:process';
import { hashOfSources, packageFolder } from './lib/sources.mjs';
import { binaryOf, nameOf, releaseTargets, stampOf } from './lib/targets.mjs';

const sources = hashOfSources();

/** @param {import('./lib/targets.mjs').Target} target */
const violationOf = (target) => {
  const path = relative(packageFolder, binaryOf(target));
  if (!existsSync(binaryOf(target))) return [`${nameOf(target)}: ${path} is missing`];
  const stamp = stampOf(target);
  const isCurrent = existsSync(stamp) && readFileSync(stamp, 'utf8').trim() === sources;
  return isCurrent ? [] : [`${nameOf(target)}: ${path} was made from other sources`];
};

const violations = releaseTargets.flatMap(violationOf);
if (violations.length > 0) {
  const isRelease = process.env['WALSTACK_PACK'] !== 'checks';
  const lines = [
    isRelease
      ? '@walstack/native is not packed without all of its binaries; `pnpm prebuild --all` makes them.'
      : '@walstack/native is packed for checks, not for a release: binaries are missing.',
    ...violations.map((violation) => `  ${violation}`),
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
  if (isRelease) process.exitCode = 1;
}
