import { readdirSync } from 'node:fs';
import { parseSegmentFileName, WalError } from '@walstack/codec';
import { replayDirectory } from '@walstack/mmap-reader';
import { Wal } from '@walstack/wal';
import { type Command, Option } from 'commander';
import type { Context } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { decodingOf, integer, type ReadLogOptions, withLogOptions } from '../log/options.js';
import { formatOf, type SelectionOptions, withSelection } from '../log/selection.js';
import { type LogTarget, logOf, targetAt } from '../log/target.js';
import { recordText } from '../output/record-text.js';

interface TailOptions extends ReadLogOptions, SelectionOptions {
  readonly records: number;
  readonly follow?: boolean;
  readonly written?: boolean;
}

/** Adds `walstack tail`. */
export function tailCommand(program: Command, context: Context): void {
  withSelection(withLogOptions(program.command('tail')))
    .summary('the last records, and with -f new ones as they come')
    .description('Prints the last records of a log; with -f it goes on with those that another process commits.')
    .argument('<log>', 'a directory with a log')
    .addOption(
      new Option('-n, --records <count>', 'begin with so many of the last records').argParser(integer(0)).default(10),
    )
    .option('-f, --follow', 'go on until it is interrupted')
    .option('--written', 'with -f: print records when they are written, before they are durable')
    .addHelpText('after', EXAMPLES)
    .action((log: string, options: TailOptions) => tail(logOf(targetAt(log), options.core, 'tail'), options, context));
}

const EXAMPLES = `
Examples:
  walstack tail data/events -n 20
  walstack tail data/events -f --format json --type 3`;

async function tail(target: LogTarget, options: TailOptions, context: Context): Promise<void> {
  const { out, signal } = context;
  const { directory } = target;
  const { type, since, records } = options;
  if (options.written && !options.follow) throw new UsageError('--written has a meaning only with --follow');
  const format = formatOf(options);
  const decoding = await decodingOf(options);
  const { firstLsn, nextLsn } = await endOf(directory, options, signal);
  const from = Math.max(firstLsn, nextLsn - records);
  if (!options.follow) {
    if (from >= nextLsn) return;
    const last = { ...decoding, from, to: nextLsn - 1, onHole: 'skip', signal } as const;
    for await (const record of replayDirectory(directory, type === undefined ? last : { ...last, types: type })) {
      if (record.timestampMs >= (since ?? 0)) await out.write(recordText(record, format));
    }
    return;
  }
  const events = Wal.follow(directory, from, {
    ...decoding,
    ...(type === undefined ? {} : { types: type }),
    ...(since === undefined ? {} : { fromTimeMs: since }),
    durableOnly: options.written !== true,
    onHole: 'skip',
    pollMs: 100,
    signal,
  });
  for await (const event of events) {
    await out.write(recordText({ ...event, scope: event.scope }, format));
    await out.flush();
  }
}

/** Where a log begins, and the LSN of its next record, from the names of its segments and the records of the newest one. */
async function endOf(
  directory: string,
  options: ReadLogOptions,
  signal: AbortSignal,
): Promise<{ firstLsn: number; nextLsn: number }> {
  const names = readdirSync(directory).flatMap((name) => parseSegmentFileName(name) ?? []);
  const newest = names.sort((a, b) => a.number - b.number).at(-1);
  if (newest === undefined) throw new WalError('WAL_NOT_FOUND', `${directory} has no log`, { path: directory });
  let nextLsn = newest.firstLsn;
  const rest = { ...(await decodingOf(options)), from: newest.firstLsn, onHole: 'skip', copy: false, signal } as const;
  for await (const { lsn } of replayDirectory(directory, rest)) nextLsn = lsn + 1;
  // A name that a truncation has left counts only where the log itself begins there.
  let firstLsn = nextLsn;
  for await (const { lsn } of replayDirectory(directory, { ...rest, from: 'first' })) {
    firstLsn = lsn;
    break;
  }
  return { firstLsn, nextLsn };
}
