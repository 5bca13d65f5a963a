import type { Lsn } from '@walstack/codec';
import {
  checkInteger,
  checkLsn,
  checkOptions,
  checkUnsigned,
  invalidType,
  optionNames,
} from '@walstack/codec/internal';
import type { WalRecord } from '@walstack/mmap-reader';

/** Which records are read; all without options. */
export interface RecordFilter {
  /** The last LSN to read. Default: the last one that had been appended when the reading began. */
  readonly to?: Lsn;
  /** Only records of these types, the application's own numbers. */
  readonly types?: Iterable<number>;
  /** Only records with these ids; ids that are not given match any. Records without a scope never match. */
  readonly scope?: ScopeFilter;
  /** Only records appended at this time or later: milliseconds since the Unix epoch, by the clock of the writer. */
  readonly fromTimeMs?: number;
  /** Only records appended before this time. */
  readonly toTimeMs?: number;
}

/** Tenant, database and shard of the records to read. */
export interface ScopeFilter {
  readonly tenantId?: number | bigint;
  readonly databaseId?: number | bigint;
  readonly vshardId?: number | bigint;
}

/** Names of the options of a {@link RecordFilter}. */
export const FILTER_OPTIONS = optionNames<RecordFilter>({
  to: true,
  types: true,
  scope: true,
  fromTimeMs: true,
  toTimeMs: true,
});

/** The properties of a record that a filter checks. */
export type Filtered = Pick<WalRecord, 'type' | 'scope' | 'timestampMs'>;

/** A filter that was checked. */
export interface CheckedFilter {
  readonly to: Lsn;
  /** Whether a record matches; `undefined` when all records match. */
  readonly matches: ((record: Filtered) => boolean) | undefined;
}

/** Checks a filter. @throws `TypeError`, `RangeError` with Node's codes */
export function checkFilter({ to, types, scope, fromTimeMs, toTimeMs }: RecordFilter): CheckedFilter {
  const tests: ((record: Filtered) => boolean)[] = [];
  if (types !== undefined) tests.push(ofTypes(types));
  if (fromTimeMs !== undefined) {
    checkInteger('fromTimeMs', fromTimeMs);
    tests.push((record) => record.timestampMs >= fromTimeMs);
  }
  if (toTimeMs !== undefined) {
    checkInteger('toTimeMs', toTimeMs);
    tests.push((record) => record.timestampMs < toTimeMs);
  }
  if (scope !== undefined) tests.push(ofScope(scope));
  return {
    to: to === undefined ? Number.MAX_SAFE_INTEGER : checkLsn('to', to),
    matches: tests.length === 0 ? undefined : (record) => tests.every((test) => test(record)),
  };
}

function ofTypes(types: Iterable<number>): (record: Filtered) => boolean {
  if (typeof types !== 'object' || types === null || !(Symbol.iterator in types)) {
    throw invalidType('types', 'an array or a set of numbers', types);
  }
  const wanted = new Set(Array.from(types, (type) => checkInteger('types', type, 0, 0xffff_ffff)));
  return (record) => wanted.has(record.type);
}

function ofScope(scope: ScopeFilter): (record: Filtered) => boolean {
  const { tenantId, databaseId, vshardId } = checkOptions('scope', scope, ['tenantId', 'databaseId', 'vshardId']);
  const tenant = tenantId === undefined ? undefined : checkUnsigned('scope.tenantId', tenantId, 64);
  const database = databaseId === undefined ? undefined : checkUnsigned('scope.databaseId', databaseId, 64);
  const shard = vshardId === undefined ? undefined : Number(checkUnsigned('scope.vshardId', vshardId, 32));
  return (record) => {
    const found = record.scope;
    return (
      found !== undefined &&
      (tenant === undefined || found.tenantId === tenant) &&
      (database === undefined || found.databaseId === database) &&
      (shard === undefined || found.vshardId === shard)
    );
  };
}
