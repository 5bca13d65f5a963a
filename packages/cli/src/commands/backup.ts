import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import type { BackupReport } from '@walstack/segmented';
import { isHeld } from '@walstack/storage-io/internal';
import type { Command } from 'commander';
import type { Context } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { withReadonly } from '../log/open-log.js';
import { type ReadLogOptions, withLogOptions } from '../log/options.js';
import { type LogTarget, type Target, targetAt } from '../log/target.js';
import { Progress } from '../output/progress.js';
import { bytesText, countText, lsnText } from '../output/units.js';

/** Adds `walstack backup`. */
export function backupCommand(program: Command, context: Context): void {
  withLogOptions(program.command('backup'))
    .summary('a copy of a log, also of one that is open elsewhere')
    .description(
      'Copies a log as it is at this moment into a directory, which opens as a log. Takes no lock and changes nothing of the log, so that it can be open elsewhere. Repeated, it copies only what is new.',
    )
    .argument('<log>', 'a directory with a log')
    .argument('<backup>', 'a directory: missing, empty, or with an earlier backup of this log')
    .addHelpText('after', EXAMPLES)
    .action((log: string, backup: string, options: ReadLogOptions) =>
      backUp(sourceAt(log, options), backup, options, context),
    );
}

const EXAMPLES = `
Examples:
  walstack backup data/events /backups/events
  walstack backup data/events /backups/events --json`;

/** A log alone: what belongs together in a per-core log is known only to its writers. */
function sourceAt(log: string, { core }: ReadLogOptions): LogTarget {
  const target: Target = targetAt(log);
  if (core !== undefined) throw new UsageError('a core is not backed up without the others: --core has no meaning');
  if (target.kind === 'log' && target.coreId === undefined) return target;
  const [path, kind] =
    target.kind === 'frames'
      ? [target.path, 'a file of frames']
      : [target.directory, 'a per-core log, or the log of a core'];
  throw new UsageError(`${path} is ${kind}: close it, and copy it as a whole, as walstack restore does`);
}

/** So often the log is read anew when its writer has removed what was being copied. */
const ATTEMPTS = 5;

/** How a file that the writer removes or reuses meanwhile shows. */
const CHANGED: readonly string[] = ['WAL_NOT_FOUND', 'WAL_TRUNCATED', 'WAL_CORRUPT', 'WAL_BAD_HEADER'];

async function backUp(source: LogTarget, into: string, options: ReadLogOptions, context: Context): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await show(await backUpOnce(source, into, options, context), options, context);
    } catch (error) {
      const isChanged = WalError.is(error) && CHANGED.includes(error.code) && error.path !== into;
      if (!isChanged || attempt === ATTEMPTS || isHeld(join(source.directory, FileName.lock)) !== true) throw error;
    }
  }
}

async function backUpOnce(
  source: LogTarget,
  into: string,
  options: ReadLogOptions,
  context: Context,
): Promise<BackupReport> {
  return await withReadonly(source, options, context, async (wal) => {
    const progress = new Progress(context.err);
    try {
      return await wal.backup(into, { signal: context.signal, onProgress: progress.show });
    } finally {
      progress.clear();
    }
  });
}

async function show(report: BackupReport, { json }: ReadLogOptions, { out, paint }: Context): Promise<void> {
  if (json) return await out.json(report);
  const { directory, firstLsn, lastLsn, segments, bytes, copiedSegments, copiedBytes } = report;
  const what = `${lsnText(firstLsn, lastLsn)}, in ${countText(segments, 'segment')}, ${bytesText(bytes)}`;
  await out.line(`${directory}: ${paint('green', 'backed up')}, ${what}`);
  const copied =
    copiedSegments === 0
      ? 'it had everything already'
      : `copied ${countText(copiedSegments, 'segment')}, ${bytesText(copiedBytes)}`;
  await out.line(`  ${copied}`);
}
