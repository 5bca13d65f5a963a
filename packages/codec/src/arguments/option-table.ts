/** One option: the value that counts where none is given, and its check. */
interface OptionRow<Given, All, Used> {
  /** `undefined` for an option without a default. */
  readonly default: Given;
  /**
   * Returns what is used in place of the value.
   *
   * @param value - the given value, or the default
   * @param all - every option, given or by default, for a check that depends on another option
   * @throws `TypeError`, `RangeError` with Node's codes
   */
  readonly check: (name: string, value: Given, all: All) => Used;
}

/**
 * The options of a type: a row for each. The compiler checks a table against the type: a missing name, an unknown one, and a
 * default or a check of another type are type errors.
 *
 * @typeParam Converted - what the check returns for options of which something else is used than what is given
 */
export type OptionTable<T extends object, Converted extends { readonly [Name in keyof T]?: unknown } = object> = {
  readonly [Name in keyof T]-?: OptionRow<
    T[Name] | undefined,
    T,
    Name extends keyof Converted ? Converted[Name] : T[Name] | undefined
  >;
};

/** A table of any options. */
type AnyTable = Readonly<Record<string, { readonly default: unknown; readonly check: AnyCheck }>>;

type AnyCheck = (name: string, value: never, all: never) => unknown;

/** What the checks of a table return. */
export type CheckedOptions<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends { check: (name: string, value: never, all: never) => infer Used }
    ? Used
    : never;
};

/** The names of the options of a table, in its order. */
export function namesIn<Table extends object>(table: Table): readonly (keyof Table & string)[] {
  return Object.freeze(Object.keys(table) as (keyof Table & string)[]);
}

/**
 * Applies the defaults of a table, and then its checks, in its order. `undefined` counts as not given.
 *
 * @throws what the checks throw
 */
export function checkAll<Table extends AnyTable>(
  table: Table,
  given: { readonly [Name in keyof Table]?: unknown },
): CheckedOptions<Table> {
  const rows = Object.entries(table);
  const all = Object.fromEntries(rows.map(([name, row]) => [name, withDefault(given[name], row.default)]));
  const checked = rows.map(([name, { check }]) => [name, check(name, all[name] as never, all as never)]);
  return Object.fromEntries(checked) as CheckedOptions<Table>;
}

const withDefault = (given: unknown, value: unknown): unknown => (given === undefined ? value : given);

/** The check of an option that has no default: nothing given is nothing checked. */
export const optional =
  <T>(check: (name: string, value: unknown) => T) =>
  (name: string, value: unknown): T | undefined =>
    value === undefined ? undefined : check(name, value);
