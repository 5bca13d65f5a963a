import type { StorageIo } from '@walstack/storage-io';
import type { TruncateResult, Wal } from '@walstack/wal';
import { type Command, Option } from 'commander';
import type { Context } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { refuseOpened } from '../log/locks.js';
import { integer, type ReadLogOptions, withLogOptions } from '../log/options.js';
import { shownInLine } from '../output/output.js';
import { bytesText, countText } from '../output/units.js';
import { withOverlay } from '../recovery/overlay.js';
import { withWritable, writableTarget } from '../write/open-for-writing.js';

interface TruncateOptions extends ReadLogOptions {
  readonly before?: number;
  readonly after?: number;
  readonly apply?: boolean;
}

/** Adds `walstack truncate`. */
export function truncateCommand(program: Command, context: Context): void {
  withLogOptions(program.command('truncate'))
    .summary('what a truncation would remove, and with --apply removes it')
    .description(
      'Shows what truncating a log would remove, and changes nothing. With --apply it is removed, durably. --before removes whole segments at the beginning, and nothing that a hold or a follower needs; --after cuts off the end.',
    )
    .argument('<log>', 'a directory with a log')
    .addOption(new Option('--before <lsn>', 'the first LSN that is still needed').argParser(integer(1)))
    .addOption(
      new Option('--after <lsn>', 'the last LSN that stays; 0 empties a log that begins with 1').argParser(integer(0)),
    )
    .option('--apply', 'remove it')
    .addHelpText('after', EXAMPLES)
    .action((log: string, options: TruncateOptions) => truncate(log, options, context));
}

const EXAMPLES = `
Examples:
  walstack truncate data/events --before 100000
  walstack truncate data/events --before 100000 --apply
  walstack truncate data/events --after 5000 --apply`;

/** What a log is before and after a truncation. */
interface Truncated {
  readonly directory: string;
  readonly before: Extent;
  readonly after: Extent;
  readonly result: TruncateResult;
  readonly holds: Readonly<Record<string, number>>;
}

interface Extent {
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly bytes: number;
}

async function truncate(log: string, options: TruncateOptions, context: Context): Promise<void> {
  const { before, after, apply = false, core } = options;
  if ((before === undefined) === (after === undefined)) throw new UsageError('give one of --before and --after');
  const target = writableTarget(log, false);
  if (target.kind === 'frames') throw new UsageError(`${target.path} is a file of frames, which is not truncated`);
  if (core !== undefined) throw new UsageError('a per-core log is truncated by its checkpoints: --core has no meaning');
  refuseOpened(target, 'the program that has it open truncates it');
  const { directory } = target;
  const truncated = apply
    ? await truncateOn(directory, options, context)
    : await withOverlay((io) => truncateOn(directory, options, context, io));
  if (options.json) return await context.out.json({ applied: apply, ...truncated });
  for (const line of linesOf(truncated, options)) await context.out.line(line);
}

/** @param io - the backend that the log is changed through; `undefined`: the usual one */
async function truncateOn(
  directory: string,
  options: TruncateOptions,
  context: Context,
  io?: StorageIo,
): Promise<Truncated> {
  const { before: lsn, after } = options;
  return await withWritable(directory, options, context, io === undefined ? {} : { io }, async (wal) => {
    const extent = (): Extent => ({ firstLsn: wal.firstLsn, lastLsn: wal.lastLsn, bytes: sizeOf(wal) });
    const before = extent();
    const { holds } = wal;
    const result = lsn === undefined ? await wal.truncateAfter(after as number) : await wal.truncateBefore(lsn);
    return { directory: wal.directory, before, after: extent(), result, holds };
  });
}

const sizeOf = (wal: Wal): number => wal.listSegments().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

function linesOf({ directory, before, after, result, holds }: Truncated, options: TruncateOptions): string[] {
  const { apply = false } = options;
  const goes = apply ? 'removed' : 'would be removed';
  const removed =
    options.before === undefined
      ? rangeText(after.lastLsn + 1, before.lastLsn)
      : rangeText(before.firstLsn, after.firstLsn - 1);
  const files = result.segmentsDeleted + result.segmentsRecycled;
  const lines = [
    `${directory}: ${removed === undefined ? `nothing ${goes}` : `${removed} ${goes}`}`,
    `  ${countText(files, 'segment file')}, ${bytesText(result.bytesReclaimed)}; the log ${apply ? 'has' : 'would have'} ${rangeText(after.firstLsn, after.lastLsn) ?? `no record, and goes on with LSN ${after.firstLsn}`}`,
  ];
  if (options.before !== undefined && after.firstLsn < options.before)
    lines.push(...reasonsOf(options.before, holds, result));
  if (result.segmentsLeft > 0) lines.push(`  ${countText(result.segmentsLeft, 'file')} cannot be removed now`);
  if (!apply && removed !== undefined) lines.push('nothing was changed; --apply removes it');
  return lines;
}

function rangeText(first: number, last: number): string | undefined {
  return last < first ? undefined : `${countText(last - first + 1, 'record')}, LSN ${first} to ${last}`;
}

/** Why a log still has records before the LSN that was asked for. */
function reasonsOf(lsn: number, holds: Truncated['holds'], { keptFor = [] }: TruncateResult): string[] {
  const held = Object.entries(holds)
    .filter(([, from]) => from < lsn)
    .map(([name, from]) => `the hold ${name} keeps everything from LSN ${from} on`);
  const followed = keptFor.map(
    (follower) => `the follower ${follower.name} keeps everything from LSN ${follower.lsn ?? 'the beginning'} on`,
  );
  const reasons = [...held, ...followed];
  return reasons.length === 0
    ? ['  records before the LSN share a segment with later ones: segments are removed as a whole']
    : reasons.map((reason) => `  ${shownInLine(reason)}`);
}
