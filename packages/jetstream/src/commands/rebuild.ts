import { type Context, type RegisterCommand, UsageError } from '@walstack/cli';
import { restoreCores } from '../cores/restore-cores.js';
import { restoreLog } from '../restore/restore-log.js';
import { type StreamArguments, streamOf, withStream } from './stream-arguments.js';

interface RebuildArguments extends StreamArguments {
  readonly from: string;
  readonly to: string;
  readonly at?: string;
  readonly json?: boolean;
}

/** Adds `rebuild`: `restore` is that of a backup. */
export const rebuildCommand: RegisterCommand = (program, context) => {
  withStream(program.command('rebuild'))
    .summary('make a log again from NATS JetStream')
    .description('Makes the directory of a log from its stream: all of it, or up to an LSN or a time.')
    .requiredOption('--from <servers>', 'the servers, separated by commas')
    .requiredOption('--to <directory>', 'the directory, missing or empty')
    .option('--at <lsn or time>', 'the last LSN, or a time as in 2026-03-01T12:00:00Z')
    .option('--json', 'print JSON')
    .action((options: RebuildArguments) => rebuild(options, context));
};

async function rebuild(options: RebuildArguments, { signal, out }: Context): Promise<void> {
  const { from, to, at, cores = false, json = false } = options;
  const { to: lastLsn, toTimeMs } = placeOf(at);
  const stream = { ...streamOf(from, options), signal, ...(toTimeMs === undefined ? {} : { toTimeMs }) };
  if (cores && lastLsn !== undefined)
    throw new UsageError('--at takes a time with --cores: each core has LSNs of its own');
  const restored = cores
    ? (await restoreCores(to, stream)).cores
    : [await restoreLog(to, { ...stream, ...(lastLsn === undefined ? {} : { to: lastLsn }) })];
  if (json) return await out.json(cores ? restored : restored[0]);
  for (const report of restored) {
    const core = 'coreId' in report ? `core ${report.coreId}: ` : '';
    await out.line(`${core}${report.records} records restored, LSN ${report.firstLsn} to ${report.lastLsn}`);
  }
}

/** Up to where: an LSN, or a time. */
function placeOf(at: string | undefined): { readonly to?: number; readonly toTimeMs?: number } {
  if (at === undefined) return {};
  if (/^\d+$/.test(at)) return { to: Number(at) };
  const toTimeMs = Date.parse(at);
  if (Number.isNaN(toTimeMs))
    throw new UsageError(`--at is an LSN, or a time as in 2026-03-01T12:00:00Z, and not "${at}"`);
  return { toTimeMs };
}
