import type { ReadFrom } from '@walstack/segmented';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { RECORD_FORMATS, type RecordFormat } from '../output/record-text.js';
import { integer } from './options.js';

/** Which records are printed, and how. */
export interface SelectionOptions {
  readonly to?: number;
  readonly type?: readonly number[];
  readonly since?: number;
  readonly format?: RecordFormat;
  readonly json?: boolean;
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** How a time begins: anything else `Date` takes for a year, `60` for 1960. */
const DATED = /^\d{4}-\d\d(-\d\d)?([T ]|$)/;

/** A time: a date as `Date` reads it, or a duration before now, such as `90s`, `10m`, `2h`, `1d`. */
function timeOf(text: string): number {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  const at = DATED.test(text) ? Date.parse(text) : Number.NaN;
  const ms = count === undefined ? at : Date.now() - Number(count) * (UNIT_MS[unit as string] as number);
  if (!Number.isFinite(ms)) {
    throw new InvalidArgumentError('It is no time: 2026-01-31, 2026-01-31T12:00:00Z, or 90s, 10m, 2h, 1d ago.');
  }
  return Math.max(0, ms);
}

/** Where reading begins. */
export const fromOf = (text: string): ReadFrom => (text === 'first' || text === 'checkpoint' ? text : integer(1)(text));

const typesOf = (text: string, earlier: readonly number[] = []): number[] => [
  ...earlier,
  ...text.split(',').map(integer(0, 0xffff_ffff)),
];

/** The option that chooses types of records. */
export const typesOption = (): Option =>
  new Option('--type <numbers>', 'only records of these types, such as 1,7').argParser(typesOf);

/** Adds the options that choose records. */
export function withFilter(command: Command): Command {
  return command
    .addOption(typesOption())
    .addOption(
      new Option('--since <time>', 'only records appended since then: a time, or 90s, 10m, 2h, 1d').argParser(timeOf),
    );
}

/** Adds the options that choose records and how they are printed. */
export function withSelection(command: Command): Command {
  return withFilter(command).addOption(
    new Option('--format <format>', 'line: LSN, time, type and payload; utf8: the payload and a line feed').choices(
      RECORD_FORMATS,
    ),
  );
}

/** The format of records. */
export const formatOf = ({ format, json }: SelectionOptions): RecordFormat => format ?? (json ? 'json' : 'line');
