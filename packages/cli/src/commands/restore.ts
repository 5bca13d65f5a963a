import { randomBytes } from 'node:crypto';
import { lstatSync, readdirSync } from 'node:fs';
import { rename, rm, rmdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Context } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { refuseOpened } from '../log/locks.js';
import { type FramesOptions, type ReadLogOptions, withFramesOptions, withLogOptions } from '../log/options.js';
import { type Target, targetAt } from '../log/target.js';
import { bytesText, countText } from '../output/units.js';
import { UNREADABLE } from '../recovery/recovery-text.js';
import { type Verdict, verifyAll, verifyTogether } from '../recovery/verification.js';
import { copyDurably, makeDirectoriesDurably, nameFile, syncDirectory } from '../write/copy.js';

type RestoreOptions = ReadLogOptions & FramesOptions;

/** Adds `walstack restore`. */
export function restoreCommand(program: Command, context: Context): void {
  withFramesOptions(withLogOptions(program.command('restore')))
    .summary('a copy of a backup, or of any closed log, verified')
    .description(
      'Copies a backup to where a log is to be, and verifies every checksum of the copy before it gets its name. Also copies a per-core log, or a file of frames, that no process has open.',
    )
    .argument('<backup>', 'a directory with a backup, a log or a per-core log, or a file of frames')
    .argument('<log>', 'where the log is to be: nothing, or an empty directory')
    .addHelpText('after', EXAMPLES)
    .action((backup: string, log: string, options: RestoreOptions) =>
      restore(targetAt(backup), resolve(log), options, context),
    );
}

const EXAMPLES = `
Examples:
  walstack restore /backups/events data/events
  walstack restore data/cores /backups/cores`;

async function restore(source: Target, to: string, options: RestoreOptions, context: Context): Promise<void> {
  const from = source.kind === 'frames' ? source.path : source.directory;
  if (options.core !== undefined) {
    throw new UsageError('the logs of all cores are restored together: --core has no meaning');
  }
  refuseOpened(source, 'make a backup of it, or close it there first');
  const isEmptyDirectory = checkFree(to);
  const draft = `${to}.restoring-${randomBytes(4).toString('hex')}`;
  const made = await makeDirectoriesDurably(dirname(to));
  try {
    const bytes = await copyDurably(from, draft, context);
    const copy = targetAt(draft);
    const verdicts = await verified(copy, options, context);
    const failure = failureIn(verdicts);
    if (failure !== undefined) {
      context.err.write(`${from} cannot be verified: its copy was removed again\n`);
      throw failure;
    }
    if (isEmptyDirectory) await rmdir(to);
    if (copy.kind === 'frames') await nameFile(draft, to);
    else {
      await rename(draft, to);
      await syncDirectory(dirname(to));
    }
    const records = verdicts.reduce((sum, { report, frames = 0 }) => sum + (report?.records ?? frames), 0);
    const bytesBehind = verdicts.reduce((sum, verdict) => sum + (verdict.bytesBehind ?? 0), 0);
    if (options.json) {
      return await context.out.json({ path: to, bytes, records, ...(bytesBehind === 0 ? {} : { bytesBehind }) });
    }
    const what = countText(records, source.kind === 'frames' ? 'frame' : 'record');
    await context.out.line(`${to}: ${context.paint('green', 'restored')} and verified, ${what}, ${bytesText(bytes)}`);
    if (bytesBehind > 0) {
      await context.out.line(`  ${countText(bytesBehind, 'byte')} behind them cannot be read: ${UNREADABLE}`);
    }
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (made !== undefined) await removeEmpty(dirname(to), made);
    throw error;
  }
}

/** Verifies a copy: each log by itself, and whether those of all cores belong together. */
async function verified(copy: Target, options: RestoreOptions, context: Context): Promise<readonly Verdict[]> {
  if (copy.kind !== 'cores') return await verifyAll([copy], options, context);
  const verdicts = await verifyAll(copy.cores, options, context);
  if (failureIn(verdicts) !== undefined) return verdicts;
  const together = await verifyTogether(copy, options, context);
  return together === undefined ? verdicts : [...verdicts, together];
}

const failureIn = (verdicts: readonly Verdict[]): unknown => verdicts.find(({ ok }) => !ok)?.failure;

/** Removes a directory and those above it, up to one, as far as they are empty. */
async function removeEmpty(path: string, last: string): Promise<void> {
  for (let each = path; ; each = dirname(each)) {
    if (
      !(await rmdir(each).then(
        () => true,
        () => false,
      )) ||
      each === last
    )
      return;
  }
}

/** @returns whether an empty directory is there @throws `UsageError` when anything else is */
function checkFree(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  if (found.isDirectory() && readdirSync(path).length === 0) return true;
  throw new UsageError(`${path} is there already, and is not changed: restore into a missing or an empty directory`);
}
