import { setTimeout } from 'node:timers/promises';
import { openStorageIo } from '@walstack/storage-io';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Context } from '../context.js';
import { interruptedCode } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { type LogSample, LogWatch } from '../log/log-watch.js';
import { integer, withoutKeys } from '../log/options.js';
import { logOf, logsOf, type Target, targetAt } from '../log/target.js';
import { bytesText, numberText } from '../output/units.js';

interface StatsOptions {
  readonly json?: boolean;
  readonly core?: number;
  readonly watch?: boolean;
  readonly interval: number;
  readonly count?: number;
}

/** Adds `walstack stats`. */
export function statsCommand(program: Command, context: Context): void {
  withoutKeys(program.command('stats'))
    .summary('durable LSN, records per second, size, followers and their lag')
    .description(
      'Shows how far a log is: the last LSN, and up to which one it is proven durable, its segments, and its followers with their lag. With --watch once a second until it is interrupted. Reads the directory, beside the process that writes the log, without a lock and without keys.',
    )
    .argument('<log>', 'a directory with a log or a per-core log')
    .option('-w, --watch', 'go on until it is interrupted')
    .addOption(new Option('--interval <seconds>', 'with --watch').argParser(secondsOf).default(1))
    .addOption(new Option('--count <count>', 'with --watch: end after so many times').argParser(integer(1)))
    .addHelpText('after', EXAMPLES)
    .action((log: string, options: StatsOptions) => stats(targetAt(log), options, context));
}

const EXAMPLES = `
Examples:
  walstack stats data/events
  walstack stats data/events --watch
  walstack stats data/events --watch --json --interval 10`;

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (!(seconds >= 0.01 && seconds <= 86_400)) throw new InvalidArgumentError('It is no number from 0.01 to 86400.');
  return seconds;
}

async function stats(target: Target, options: StatsOptions, context: Context): Promise<void> {
  const { out, signal } = context;
  if (options.count !== undefined && !options.watch) throw new UsageError('--count has a meaning only with --watch');
  const logs = options.core === undefined ? logsOf(target, 'stats') : [logOf(target, options.core, 'stats')];
  const io = openStorageIo();
  const watches = logs.map((log) => new LogWatch(io, log, signal));
  try {
    if (!options.json) await out.line(context.paint('dim', HEAD));
    for (let round = 1; ; round++) {
      for (const watch of watches) {
        const sample = await watch.sample();
        await (options.json ? out.json(sample) : out.line(lineOf(sample)));
      }
      await out.flush();
      if (!options.watch || round === options.count) return;
      await setTimeout(options.interval * 1000, undefined, { signal }).catch(() => {});
      if (signal.aborted) {
        context.exitCode = interruptedCode(context);
        return;
      }
    }
  } finally {
    for (const watch of watches) watch.close();
    await io.dispose();
  }
}

const WIDTHS = [8, 15, 15, 11, 9, 8] as const;

const row = (cells: readonly string[]): string =>
  cells.map((cell, index) => cell.padStart(WIDTHS[index] ?? 0)).join('  ');

const HEAD = `${row(['time', 'last LSN', 'durable LSN', 'records/s', 'size', 'segments'])}  followers`;

function lineOf({ core, time, lastLsn, durableLsn, recordsPerSecond, bytes, segments, followers }: LogSample): string {
  const rate = recordsPerSecond === null ? '–' : numberText(recordsPerSecond);
  const cells = [
    time.slice(11, 19),
    numberText(lastLsn),
    numberText(durableLsn),
    rate,
    bytesText(bytes),
    `${segments}`,
  ];
  const behind = followers.map(({ name, lag, alive }) => {
    const far = lag === null ? 'at an unknown place' : `${numberText(lag)} behind`;
    return `${name} ${far}${alive === false ? ', not running' : ''}`;
  });
  const which = core === undefined ? '' : `core ${core}  `;
  return `${row(cells)}  ${which}${behind.join('; ') || '–'}`;
}
