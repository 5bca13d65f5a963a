import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { demo, type Report } from './demo.js';
import { checkEarlierLog } from './earlier-log.js';
import { hasServer } from './servers.js';

const HELP = `Takes payments that a cluster of NATS JetStream has before they are acknowledged. In the middle, the machine is lost.

  --payments N    how many (default 2000)
  --servers LIST  a cluster that is there, such as n1:4222,n2:4222,n3:4222; without it three servers are started here, by nats-server
  --data DIR      where the logs go (default data/replicated-log); those of an earlier run are removed, other files are kept
  --help          this text`;

/** The logs that a run makes in its directory, beside the files of the cluster. */
const LOGS = ['replica', 'machine-1', 'machine-2'] as const;

/** What is wrong with the command line, in words for the user. */
class UsageError extends Error {}

async function main(): Promise<void> {
  const { help, payments, servers, data } = readArguments();
  if (help) return console.log(HELP);
  if (servers.length === 0 && !hasServer()) {
    throw new Error('there is no nats-server here (Debian: apt-get install nats-server); or give --servers');
  }
  mkdirSync(data, { recursive: true });
  await removeEarlier(data);
  console.log(`${payments} payments, each of which is replicated before it is acknowledged`);
  const report = await demo(data, payments, servers, (text) => console.log(`  ${text}`));
  console.log();
  for (const [name, value] of Object.entries(report)) console.log(`  ${name.padEnd(14)} ${String(value).padStart(8)}`);
  if (!isSound(report)) process.exitCode = 1;
}

/** Removes what an earlier run has made; other files are kept, and so is everything where a directory is none of a run. */
async function removeEarlier(data: string): Promise<void> {
  for (const name of LOGS) await checkEarlierLog(join(data, name));
  const cluster = join(data, 'cluster');
  const stranger = existsSync(cluster) && readdirSync(cluster).find((name) => !/^server-\d+$/.test(name));
  if (stranger) throw new UsageError(`${cluster} holds ${stranger}, which no run has made: use another directory`);
  for (const name of ['cluster', ...LOGS]) rmSync(join(data, name), { recursive: true, force: true });
}

const isSound = ({ lost, duplicated, different, agrees }: Report): boolean =>
  lost + duplicated + different === 0 && agrees;

function readArguments() {
  const { values } = parse();
  const payments = Number(values.payments);
  if (!Number.isSafeInteger(payments) || payments < 2) {
    throw new UsageError(`--payments must be a whole number from 2 on, not "${values.payments}"`);
  }
  const servers = (values.servers ?? '').split(',').filter((each) => each !== '');
  // pnpm runs a script in the root of the repository, and says in INIT_CWD where it was called.
  return { help: values.help, payments, servers, data: resolve(process.env['INIT_CWD'] ?? '.', values.data) };
}

function parse() {
  try {
    return parseArgs({
      options: {
        payments: { type: 'string', default: '2000' },
        servers: { type: 'string' },
        data: { type: 'string', default: join('data', 'replicated-log') },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
