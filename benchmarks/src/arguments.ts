import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

const BENCHES = [
  'append',
  'durable',
  'replay',
  'cold',
  'log',
  'percore',
  'crowds',
  'native',
  'turns',
  'verify',
  'jetstream',
] as const;

export type Bench = (typeof BENCHES)[number];

export const HELP = `Measures walstack beside its yardsticks.

  pnpm bench                   everything
  pnpm bench durable           one of ${BENCHES.join(', ')}, or several

  --quick        fewer and shorter rounds: for a look, not for figures to hand on
  --rounds N     so many rounds, after one that does not count; default 7, with --quick 3
  --mib N        MiB of the log that is read in "turns", default 2048, and in "verify", default 4096; with --quick 256
  --json FILE    write the results there as well, as an array of rows; where they come from stands beside it,
                 in FILE.about.json
  --no-peers     without the databases that walstack is measured beside; nothing is installed then
  --data DIR     where to write; on the disk that is to be measured (default data)
  --help         this text`;

/** What to do. */
export interface Arguments {
  readonly benches: readonly Bench[];
  readonly quick: boolean;
  /** How often is measured, where not as often as usual. */
  readonly rounds: number | undefined;
  /** MiB of the logs of `turns` and `verify`, where not as much as usual. */
  readonly mebibytes: number | undefined;
  /** Databases take part. */
  readonly peers: boolean;
  readonly json: string | undefined;
  readonly data: string;
}

/** What is wrong with the command line, in words for the user. */
export class UsageError extends Error {}

/** Reads the command line; `undefined` when help was asked for. @throws {UsageError} */
export function readArguments(argv: readonly string[], standing: string): Arguments | undefined {
  const { values, positionals } = parse(argv);
  if (values.help) return undefined;
  const unknown = positionals.find((name) => !isBench(name));
  if (unknown !== undefined) throw new UsageError(`there is no bench "${unknown}": take ${BENCHES.join(', ')}`);
  return {
    benches: positionals.length === 0 ? BENCHES : BENCHES.filter((name) => positionals.includes(name)),
    quick: values.quick,
    rounds: values.rounds === undefined ? undefined : countOf('rounds', values.rounds),
    mebibytes: values.mib === undefined ? undefined : countOf('mib', values.mib),
    peers: !values['no-peers'],
    json: values.json === undefined ? undefined : resolve(standing, values.json),
    data: values.data === undefined ? resolve('data') : resolve(standing, values.data),
  };
}

function countOf(name: string, text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw new UsageError(`--${name} must be a whole number of at least 1, not "${text}"`);
}

const isBench = (name: string): name is Bench => (BENCHES as readonly string[]).includes(name);

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        rounds: { type: 'string' },
        mib: { type: 'string' },
        'no-peers': { type: 'boolean', default: false },
        json: { type: 'string' },
        data: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
