import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, existsSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Context } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { type EntryOptions, printEntries } from '../log/entries.js';
import { integer, withFramesOptions, withLogOptions } from '../log/options.js';
import { type PrintOptions, printFrames, printRecords } from '../log/print-records.js';
import { fromOf, withFilter } from '../log/selection.js';
import { checkCore, type Target, targetAt } from '../log/target.js';
import { Output } from '../output/output.js';
import { Progress } from '../output/progress.js';
import { countText } from '../output/units.js';
import { nameFile } from '../write/copy.js';

interface ExportOptions extends Omit<PrintOptions, 'format'> {
  readonly output?: string;
}

/** Adds `walstack export`. */
export function exportCommand(program: Command, context: Context): void {
  withFilter(withFramesOptions(withLogOptions(program.command('export'))))
    .summary('records as lines of JSON, which import reads')
    .description(
      'Writes each record as a line of JSON with its LSN, type, time, scope, meta and payload: as text where it is UTF-8, else in base64. Takes no lock and changes nothing.',
    )
    .argument('<log>', 'a directory with a log or a per-core log, or a file of frames')
    .addOption(new Option('--from <lsn>', "the first LSN, 'first' or 'checkpoint'").argParser(fromOf))
    .addOption(new Option('--to <lsn>', 'the last LSN').argParser(integer(1)))
    .option('--skip-holes', 'go on behind records that are lost in a salvaged log')
    .option('-o, --output <file>', 'write into a new file, durably, and not to standard output')
    .addHelpText('after', EXAMPLES)
    .action((log: string, options: ExportOptions) => exportTo(targetAt(log), options, context));
}

const EXAMPLES = `
Examples:
  walstack export data/events > events.ndjson
  walstack export data/events --from 100 --type 1,2 --output events.ndjson`;

async function exportTo(target: Target, options: ExportOptions, context: Context): Promise<void> {
  const { output, json } = options;
  checkCore(target, options.core);
  if (output === undefined) return void (await printAll(target, options, context));
  if (existsSync(output)) throw new UsageError(`${output} is there already, and is not changed`);
  const draft = `${output}.exporting-${randomBytes(4).toString('hex')}`;
  const stream = createWriteStream(draft, { flags: 'wx', flush: true });
  await once(stream, 'open');
  const broken = new AbortController();
  const out = new Output(stream, broken);
  try {
    const records = await printAll(target, options, { ...context, out });
    await out.end();
    if (out.failure !== undefined) throw out.failure;
    stream.end();
    await once(stream, 'close');
    context.signal.throwIfAborted();
    await nameFile(draft, resolve(output));
    if (json) await context.out.json({ path: output, records });
    else await context.out.line(`${output}: ${countText(records, 'record')} exported`);
  } catch (error) {
    stream.destroy();
    rmSync(draft, { force: true });
    throw error;
  }
}

/** @returns how many records were written */
async function printAll(target: Target, options: ExportOptions, context: Context): Promise<number> {
  const asJson = { ...options, json: true };
  if (target.kind === 'frames') return await printFrames(target, asJson, context);
  if (target.kind === 'cores') {
    if (options.from !== undefined || options.to !== undefined || options.skipHoles !== undefined) {
      throw new UsageError('--from, --to and --skip-holes have no meaning for a per-core log');
    }
    return await printEntries(target, asJson as EntryOptions, context);
  }
  const progress = new Progress(context.err);
  try {
    return await printRecords(target, asJson, context, context.out.isTerminal ? undefined : progress);
  } finally {
    progress.clear();
  }
}
