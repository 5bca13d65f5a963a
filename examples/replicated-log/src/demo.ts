import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { compareLog, LogReplica, restoreLog } from '@walstack/jetstream';
import { booksOf } from './payments.js';
import { Servers } from './servers.js';
import { streamOf } from './stream.js';

const WRITER = fileURLToPath(new URL('./writer.js', import.meta.url));

/** What a run has found. */
export interface Report {
  readonly payments: number;
  /** Those that were acknowledged when the machine was lost, and those that were restored. */
  readonly acknowledged: number;
  readonly restored: number;
  readonly lost: number;
  readonly duplicated: number;
  /** Accounts whose balance is another one in the replica. */
  readonly different: number;
  /** Whether log and stream have the same records. */
  readonly agrees: boolean;
}

/**
 * Takes payments; in the middle the machine that does so is lost, with its disk. Another one goes on with what the cluster has.
 *
 * @param given - the servers of a cluster; three are started where it is empty
 */
export async function demo(
  directory: string,
  payments: number,
  given: readonly string[],
  tell: (text: string) => void,
): Promise<Report> {
  await using started = given.length > 0 ? undefined : await Servers.start(join(directory, 'cluster'), 3);
  const servers = started?.addresses ?? given;
  const replicas = Math.min(servers.length, 3);
  const stream = streamOf(servers);
  await using replica = LogReplica.start(join(directory, 'replica'), { ...stream, retryMs: 500 });
  const acknowledged = new Set<number>();

  const first = join(directory, 'machine-1');
  const writer = startWriter(first, payments, servers, replicas, (number) => {
    acknowledged.add(number);
    if (acknowledged.size === Math.ceil(payments / 2)) writer.kill('SIGKILL');
  });
  await once(writer, 'close');
  rmSync(first, { recursive: true });
  const before = acknowledged.size;
  tell(`machine 1 is lost, with its disk: ${before} payments were acknowledged`);

  const second = join(directory, 'machine-2');
  const { records: restored } = await restoreLog(second, stream);
  tell(`machine 2 has ${restored >= before ? 'all of them' : `only ${restored}`}, made again from the cluster`);
  const next = startWriter(second, payments, servers, replicas, (number) => acknowledged.add(number));
  const [code] = await once(next, 'close');
  if (code !== 0) throw new Error(`the writer has ended with ${code}`);

  const books = await booksOf(second);
  await replica.reached(books.lastLsn);
  const replicated = await booksOf(join(directory, 'replica'));
  const { agrees } = await compareLog(second, stream);
  return {
    payments,
    acknowledged: before,
    restored,
    lost: [...acknowledged].filter((number) => !books.payments.has(number)).length,
    duplicated: [...books.payments.values()].filter((times) => times > 1).length,
    different: [...books.balances].filter(([account, cents]) => replicated.balances.get(account) !== cents).length,
    agrees,
  };
}

/** A process that takes payments, and prints those that are acknowledged. */
function startWriter(
  directory: string,
  upTo: number,
  servers: readonly string[],
  replicas: number,
  acknowledged: (number: number) => void,
): ChildProcess {
  const child = spawn(process.execPath, [WRITER, directory, `${upTo}`, `${replicas}`, ...servers], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  createInterface({ input: child.stdout }).on('line', (line) => acknowledged(Number(line)));
  return child;
}
