import { type Context, ExitCode, type RegisterCommand } from '@walstack/cli';
import { compareCores } from '../cores/compare-cores.js';
import { compareLog } from '../restore/compare-log.js';
import { type StreamArguments, streamOf, withStream } from './stream-arguments.js';

interface CompareArguments extends StreamArguments {
  readonly with: string;
  readonly json?: boolean;
}

/** Adds `compare`. */
export const compareCommand: RegisterCommand = (program, context) => {
  withStream(program.command('compare'))
    .summary('compare a log with its stream in NATS JetStream, record by record')
    .description(
      'Compares a log with its stream by the bytes of each record. Works beside a writer. Exit code 1: they differ.',
    )
    .argument('<directory>', 'the directory of a log, or of a per-core log with --cores')
    .requiredOption('--with <servers>', 'the servers, separated by commas')
    .option('--json', 'print JSON')
    .action((directory: string, options: CompareArguments) => compare(directory, options, context));
};

async function compare(directory: string, options: CompareArguments, context: Context): Promise<void> {
  const { out, signal } = context;
  const { cores = false, json = false } = options;
  const asked = { ...streamOf(options.with, options), signal };
  const reports = cores ? (await compareCores(directory, asked)).cores : [await compareLog(directory, asked)];
  const agrees = reports.length > 0 && reports.every((report) => report.agrees);
  if (!agrees) context.exitCode = ExitCode.failed;
  if (json) return await out.json(cores ? { agrees, cores: reports } : reports[0]);
  for (const report of reports) {
    const core = 'coreId' in report ? `core ${report.coreId}: ` : '';
    const { records, differing, differingRecords, stream, log } = report;
    const which = differingRecords === 0 ? '' : `, ${differingRecords} differ: LSN ${differing.join(', ')}`;
    await out.line(
      `${core}${records} records are the same${which}; the stream ends with LSN ${stream.lastLsn}, the log with ${log.lastLsn}`,
    );
  }
}
