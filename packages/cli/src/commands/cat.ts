import { replayDirectory } from '@walstack/mmap-reader';
import type { ReadFrom } from '@walstack/segmented';
import { readFrames } from '@walstack/storage-io';
import { type Command, Option } from 'commander';
import type { Context } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { type EntryOptions, printEntries } from '../log/entries.js';
import {
  decodingOf,
  type FramesOptions,
  framesOf,
  integer,
  type ReadLogOptions,
  withFramesOptions,
  withLogOptions,
} from '../log/options.js';
import { formatOf, fromOf, type SelectionOptions, withSelection } from '../log/selection.js';
import { type FramesTarget, type LogTarget, targetAt } from '../log/target.js';
import { hexLines, printable, recordText } from '../output/record-text.js';

interface CatOptions extends ReadLogOptions, FramesOptions, SelectionOptions {
  readonly from?: ReadFrom;
  readonly limit?: number;
  readonly skipHoles?: boolean;
}

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
    .action((log: string, options: CatOptions) => cat(log, options, context));
}

const EXAMPLES = `
Examples:
  walstack cat data/events --from 100 --to 120
  walstack cat data/events --type 1,2 --since 10m --format json
  walstack cat data/events --format utf8 | head`;

async function cat(log: string, options: CatOptions, context: Context): Promise<void> {
  const target = targetAt(log);
  if (target.kind === 'log') return await catLog(target, options, context);
  if (target.kind === 'frames') return await catFrames(target, options, context);
  const { from, to, skipHoles } = options;
  if (from !== undefined || to !== undefined || skipHoles !== undefined) {
    throw new UsageError(
      'LSNs of a per-core log are those of each core: --from, --to and --skip-holes have no meaning for it',
    );
  }
  await printEntries(target, options as EntryOptions, context);
}

/** Prints the records of one log. */
async function catLog({ directory }: LogTarget, options: CatOptions, { out, signal }: Context): Promise<void> {
  const { from, to, limit = Number.POSITIVE_INFINITY, since = 0, type, skipHoles } = options;
  const format = formatOf(options);
  const records = replayDirectory(directory, {
    ...(await decodingOf(options)),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(type === undefined ? {} : { types: type }),
    onHole: skipHoles ? 'skip' : 'throw',
    copy: false,
    signal,
  });
  let printed = 0;
  for await (const record of records) {
    if (record.timestampMs < since) continue;
    // Copied here: the record is a view that is valid until the next one.
    const text = recordText(record, format);
    await out.write(typeof text === 'string' ? text : Buffer.from(text));
    if (++printed >= limit) break;
  }
}

/** Prints the frames of a file: they have a position and data, nothing else. */
async function catFrames({ path }: FramesTarget, options: CatOptions, { out, signal }: Context): Promise<void> {
  const { limit = Number.POSITIVE_INFINITY, from, to, type, since } = options;
  if (from !== undefined || to !== undefined || type !== undefined || since !== undefined) {
    throw new UsageError(`${path} is a file of frames, which have no LSN, type and time`);
  }
  const format = formatOf(options);
  let printed = 0;
  for await (const { position, data } of readFrames(path, framesOf(options))) {
    signal.throwIfAborted();
    if (format === 'utf8') await out.write(Buffer.concat([data, Buffer.from('\n')]));
    else if (format === 'json') await out.json({ position, dataBase64: Buffer.from(data).toString('base64') });
    else if (format === 'hex')
      await out.line([`position ${position}  ${data.length} bytes`, ...hexLines(data)].join('\n'));
    else await out.line(`${String(position).padStart(10)}  ${printable(data, 160)}`);
    if (++printed >= limit) break;
  }
}
