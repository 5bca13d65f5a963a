import { mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { WalError } from '@walstack/codec';
import { openStorageIo, type StorageIo, type StorageIoName } from '@walstack/storage-io';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { adviceOf, type DiskReport } from '../bench/advice.js';
import { commitCases } from '../bench/commits.js';
import { type WriteSettings, writeCases } from '../bench/durable-writes.js';
import { durationText } from '../bench/latencies.js';
import type { Context } from '../context.js';
import { integer } from '../log/options.js';
import { Progress } from '../output/progress.js';
import { tableLines } from '../output/table.js';
import { numberText } from '../output/units.js';

interface BenchOptions {
  readonly json?: boolean;
  readonly bytes: number;
  readonly seconds: number;
}

/** Adds `walstack bench`. */
export function benchCommand(program: Command, context: Context): void {
  program
    .command('bench')
    .summary('how long this disk takes to make a write durable, and which options fit')
    .description(
      'Measures a disk: how long each way takes to make a write durable, on each backend, into a growing file and into a prepared one; and the commits of a log. Writes into a temporary directory in the given one, and removes it again.',
    )
    .argument('[directory]', 'a directory on the disk', '.')
    .option('--json', 'print JSON')
    .addOption(new Option('--bytes <bytes>', 'of a write: a multiple of 4096').argParser(blocksOf).default(4096))
    .addOption(new Option('--seconds <seconds>', 'for each case').argParser(secondsOf).default(0.3))
    .addHelpText('after', EXAMPLES)
    .action((directory: string, options: BenchOptions) => bench(resolve(directory), options, context));
}

const EXAMPLES = `
Examples:
  walstack bench /var/lib/app
  walstack bench /var/lib/app --seconds 2 --json`;

function blocksOf(text: string): number {
  const bytes = integer(4096, 1024 * 1024)(text);
  if (bytes % 4096 !== 0) throw new InvalidArgumentError('It is no multiple of 4096.');
  return bytes;
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (!(seconds >= 0.001 && seconds <= 600)) throw new InvalidArgumentError('It is no number from 0.001 to 600.');
  return seconds;
}

const BACKENDS: readonly StorageIoName[] = ['io-uring', 'thread-pool', 'sync-fs'];

/** The cases alternate, so that what else the machine does meanwhile hits all of them. */
const ROUNDS = 3;

async function bench(path: string, options: BenchOptions, context: Context): Promise<void> {
  const directory = mkdtempSync(join(path, '.walstack-bench-'));
  try {
    const roundMs = (options.seconds * 1000) / ROUNDS;
    const report = await measure(path, { directory, bytes: options.bytes, roundMs, signal: context.signal }, context);
    const advice = adviceOf(report);
    if (options.json) return await context.out.json({ bytes: options.bytes, ...report, advice });
    for (const line of reportLines(report, advice, options, context)) await context.out.line(line);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measure(path: string, settings: WriteSettings, context: Context): Promise<DiskReport> {
  const { backends, unavailable } = openBackends();
  try {
    const writes = backends.flatMap(writeCases);
    const commits = backends.flatMap(commitCases);
    await alternating([...writes, ...commits], settings, context);
    return {
      path,
      fileSystem: backends[0]?.fileSystem?.(path),
      unavailable,
      writes: writes.flatMap(({ result }) => result ?? []),
      commits: commits.map(({ result }) => result),
    };
  } finally {
    for (const io of backends) await io.dispose();
  }
}

async function alternating(
  cases: readonly { round: (settings: WriteSettings) => Promise<void> }[],
  settings: WriteSettings,
  { err }: Context,
): Promise<void> {
  const progress = new Progress(err);
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, each] of cases.entries()) {
        progress.showCount('measuring', round * cases.length + index, ROUNDS * cases.length);
        await each.round(settings);
      }
    }
  } finally {
    progress.clear();
  }
}

/** The backends that work here. */
function openBackends(): { backends: StorageIo[]; unavailable: Record<string, string> } {
  const backends: StorageIo[] = [];
  const unavailable: Record<string, string> = {};
  for (const name of BACKENDS) {
    try {
      backends.push(openStorageIo(name));
    } catch (error) {
      if (!WalError.is(error, 'WAL_UNSUPPORTED')) throw error;
      unavailable[name] = error.message;
    }
  }
  return { backends, unavailable };
}

function reportLines(
  report: DiskReport,
  advice: readonly string[],
  options: BenchOptions,
  { paint }: Context,
): string[] {
  const { path, fileSystem, unavailable, writes, commits } = report;
  const written = writes.map(({ backend, method, preallocate, bySync, latencies }) => [
    backend,
    bySync ? `${method}, by datasync` : method,
    preallocate,
    durationText(latencies.medianUs),
    durationText(latencies.p99Us),
    durationText(latencies.maxUs),
    String(latencies.count),
  ]);
  const committed = commits.map(({ backend, preset, callers, perSecond, latencies }) => [
    backend,
    preset,
    String(callers),
    numberText(perSecond),
    durationText(latencies.medianUs),
    durationText(latencies.p99Us),
  ]);
  return [
    `${paint('bold', path)}${fileSystem === undefined ? '' : `, ${fileSystem.type}`}`,
    ...Object.entries(unavailable).map(([name, why]) => `  ${name} does not work here: ${why}`),
    '',
    `One write of ${numberText(options.bytes)} bytes after another, each durable before the next one:`,
    ...indented(tableLines(WRITE_COLUMNS, written)),
    '',
    `Commits of ${numberText(options.bytes)} bytes in a log:`,
    ...indented(tableLines(COMMIT_COLUMNS, committed)),
    '',
    ...advice,
  ];
}

const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);

const WRITE_COLUMNS = [
  ['backend'],
  ['method'],
  ['preallocate'],
  ['median', 'right'],
  ['99 %', 'right'],
  ['longest', 'right'],
  ['writes', 'right'],
] as const;

const COMMIT_COLUMNS = [
  ['backend'],
  ['preset'],
  ['callers', 'right'],
  ['commits/s', 'right'],
  ['median', 'right'],
  ['99 %', 'right'],
] as const;
