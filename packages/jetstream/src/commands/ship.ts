import { once } from 'node:events';
import { type Context, type RegisterCommand, UsageError } from '@walstack/cli';
import { CoresShipper } from '../cores/cores-shipper.js';
import { LogShipper } from '../ship/log-shipper.js';
import { type StreamArguments, streamOf, withStream } from './stream-arguments.js';

interface ShipArguments extends StreamArguments {
  readonly to: string;
  readonly create?: boolean;
  readonly replicas?: string;
}

/** Adds `ship`. */
export const shipCommand: RegisterCommand = (program, context) => {
  withStream(program.command('ship'))
    .summary('publish a log to NATS JetStream, as it grows')
    .description(
      'Publishes the records of a log that another process writes, until it is interrupted. The next call goes on.',
    )
    .argument('<directory>', 'the directory of a log, or of a per-core log with --cores')
    .requiredOption('--to <servers>', 'the servers, separated by commas')
    .option('--create', 'create the stream where it is missing')
    .option('--replicas <number>', 'create it with so many replicas')
    .action((directory: string, options: ShipArguments) => ship(directory, options, context));
};

async function ship(directory: string, options: ShipArguments, { signal, err, out }: Context): Promise<void> {
  const { to, create = false, replicas, cores = false } = options;
  if (replicas !== undefined && !/^[1-5]$/.test(replicas)) throw new UsageError('--replicas is a number from 1 to 5');
  const how = replicas === undefined ? create : { num_replicas: Number(replicas) };
  const onState = (state: string, error: Error | undefined): void => {
    err.write(error === undefined ? `${state}\n` : `${state}: ${error.message}\n`);
  };
  const asked = { ...streamOf(to, options), create: how, onState };
  const shipper = cores ? CoresShipper.start(directory, asked) : LogShipper.start(directory, asked);
  try {
    if (!signal.aborted) await Promise.race([shipper.ended(), once(signal, 'abort')]);
  } finally {
    await shipper.close();
  }
  const shipped = shipper instanceof LogShipper ? [shipper.stats()] : shipper.stats().cores;
  const records = shipped.reduce((sum, each) => sum + each.records, 0);
  await out.line(`${records} records shipped`);
}
