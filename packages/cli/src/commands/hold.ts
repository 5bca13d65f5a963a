import type { Command } from 'commander';
import type { Context } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { withReadonly } from '../log/open-log.js';
import { integer, type ReadLogOptions, withLogOptions } from '../log/options.js';
import { logOf, logsOf, type Target, targetAt } from '../log/target.js';
import { shownInLine } from '../output/output.js';
import { tableLines } from '../output/table.js';
import { lsnText, numberText } from '../output/units.js';
import { withWritable, writableTarget } from '../write/open-for-writing.js';

/** Adds `walstack hold` with its three commands. */
export function holdCommand(program: Command, context: Context): void {
  const hold = program
    .command('hold')
    .summary('lists, sets and releases the holds of a log')
    .description('A hold keeps every record from an LSN on from being truncated, until it is moved or released.')
    .addHelpText('after', EXAMPLES);
  withLogOptions(hold.command('list'))
    .description('Lists the holds of a log, without a lock.')
    .argument('<log>', 'a directory with a log or a per-core log')
    .action((log: string, options: ReadLogOptions) => list(targetAt(log), options, context));
  withLogOptions(hold.command('set'))
    .description('Sets a hold, or moves it. Opens the log for writing.')
    .argument('<log>', 'a directory with a log')
    .argument('<name>', 'the name of the hold')
    .argument('<lsn>', 'the first LSN that is kept', integer(1))
    .action((log: string, name: string, lsn: number, options: ReadLogOptions) => set(log, name, lsn, options, context));
  withLogOptions(hold.command('release'))
    .description('Releases a hold. Opens the log for writing.')
    .argument('<log>', 'a directory with a log')
    .argument('<name>', 'the name of the hold')
    .action((log: string, name: string, options: ReadLogOptions) => release(log, name, options, context));
}

const EXAMPLES = `
Examples:
  walstack hold list data/events
  walstack hold set data/events replica 120
  walstack hold release data/events replica`;

async function list(target: Target, options: ReadLogOptions, context: Context): Promise<void> {
  const { out, paint } = context;
  const logs = options.core === undefined ? logsOf(target, 'hold') : [logOf(target, options.core, 'hold')];
  for (const log of logs) {
    await withReadonly(log, options, context, async ({ holds, firstLsn, lastLsn }) => {
      const { directory } = log;
      if (options.json) return await out.json({ directory, firstLsn, lastLsn, holds });
      await out.line(`${paint('bold', directory)}: ${lsnText(firstLsn, lastLsn)}`);
      const rows = Object.entries(holds).map(([name, lsn]) => [name, String(lsn), numberText(lastLsn + 1 - lsn)]);
      if (rows.length === 0) return await out.line('  no holds');
      const columns = [['hold'], ['from LSN', 'right'], ['records', 'right']] as const;
      for (const line of tableLines(columns, rows)) await out.line(`  ${line}`);
    });
  }
}

async function set(log: string, name: string, lsn: number, options: ReadLogOptions, context: Context): Promise<void> {
  await withWritable(directoryOf(log, options), options, context, {}, async (wal) => {
    const before = holdOf(wal, name);
    await wal.hold(name, lsn);
    if (options.json) return await context.out.json({ directory: wal.directory, name, lsn, before: before ?? null });
    const moved = before === undefined ? '' : `; it was at ${before}`;
    await context.out.line(
      `${wal.directory}: the hold ${shownInLine(name)} keeps everything from LSN ${lsn} on${moved}`,
    );
  });
}

async function release(log: string, name: string, options: ReadLogOptions, context: Context): Promise<void> {
  await withWritable(directoryOf(log, options), options, context, {}, async (wal) => {
    const before = holdOf(wal, name);
    if (before === undefined) {
      const names = Object.keys(wal.holds).join(', ') || 'none';
      throw new UsageError(`${wal.directory} has no hold ${name}; it has ${names}`);
    }
    await wal.releaseHold(name);
    if (options.json) return await context.out.json({ directory: wal.directory, name, before });
    await context.out.line(`${wal.directory}: the hold ${shownInLine(name)} is released; it was at ${before}`);
  });
}

/** Not what every object has by its prototype. */
const holdOf = ({ holds }: { readonly holds: Readonly<Record<string, number>> }, name: string): number | undefined =>
  Object.hasOwn(holds, name) ? holds[name] : undefined;

function directoryOf(log: string, { core }: ReadLogOptions): string {
  const target = writableTarget(log, false);
  if (target.kind === 'frames') throw new UsageError(`${target.path} is a file of frames, which has no holds`);
  if (core !== undefined) throw new UsageError('holds of a per-core log are set by its writers: --core has no meaning');
  return target.directory;
}
