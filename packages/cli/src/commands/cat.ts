import { type Command, Option } from 'commander';
import type { Context } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { type EntryOptions, printEntries } from '../log/entries.js';
import { integer, withFramesOptions, withLogOptions } from '../log/options.js';
import { type PrintOptions, printFrames, printRecords } from '../log/print-records.js';
import { fromOf, withSelection } from '../log/selection.js';
import { checkCore, targetAt } from '../log/target.js';

/** Adds `walstack cat`. */
export function catCommand(program: Command, context: Context): void {
  withSelection(withFramesOptions(withLogOptions(program.command('cat'))))
    .summary('the records of a log')
    .description('Prints the records of a log in order, without a lock and without changing anything.')
    .argument('<log>', 'a directory with a log or a per-core log, or a file of frames')
    .addOption(new Option('--from <lsn>', "the first LSN, 'first' or 'checkpoint'").argParser(fromOf))
    .addOption(new Option('--to <lsn>', 'the last LSN').argParser(integer(1)))
    .addOption(new Option('--limit <count>', 'at most so many records').argParser(integer(1)))
    .option('--skip-holes', 'go on behind records that are lost in a salvaged log')
    .addHelpText('after', EXAMPLES)
    .action((log: string, options: PrintOptions) => cat(log, options, context));
}

const EXAMPLES = `
Examples:
  walstack cat data/events --from 100 --to 120
  walstack cat data/events --type 1,2 --since 10m --format json
  walstack cat data/events --format utf8 | head`;

async function cat(log: string, options: PrintOptions, context: Context): Promise<void> {
  const target = targetAt(log);
  checkCore(target, options.core);
  if (target.kind === 'log') return void (await printRecords(target, options, context));
  if (target.kind === 'frames') return void (await printFrames(target, options, context));
  const { from, to, skipHoles } = options;
  if (from !== undefined || to !== undefined || skipHoles !== undefined) {
    throw new UsageError(
      'LSNs of a per-core log are those of each core: --from, --to and --skip-holes have no meaning for it',
    );
  }
  await printEntries(target, options as EntryOptions, context);
}
