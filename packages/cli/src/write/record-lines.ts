import { META_BYTES_MAX } from '@walstack/codec';
import type { AppendOptions } from '@walstack/segmented';
import { base64Of } from '../output/decoded.js';

/** A record as `walstack export` writes it. */
export interface ImportedRecord {
  /** The LSN that it had; `undefined` where the line has none. */
  readonly lsn: number | undefined;
  readonly payload: Uint8Array;
  readonly options: AppendOptions;
}

/** What a line may have. `time` and `position` are those of the source: a record that is imported gets new ones. */
const FIELDS = ['lsn', 'type', 'time', 'scope', 'metaBase64', 'payload', 'payloadBase64', 'position', 'dataBase64'];

const SCOPE_FIELDS = ['tenantId', 'databaseId', 'vshardId'];

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads a line. @throws `Error` that says what is wrong with it */
export function recordOf(line: Uint8Array): ImportedRecord {
  const value: unknown = JSON.parse(strictUtf8.decode(line));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('it is no object');
  const fields = value as Record<string, unknown>;
  checkFields('record', fields, FIELDS);
  const { lsn, type, scope, metaBase64 } = fields;
  return {
    lsn: lsn === undefined ? undefined : integerOf('lsn', lsn, 1, Number.MAX_SAFE_INTEGER),
    payload: payloadOf(fields),
    options: {
      ...(type === undefined ? {} : { type: integerOf('type', type, 0, 0xffff_ffff) }),
      ...(metaBase64 === undefined ? {} : { meta: metaOf(metaBase64) }),
      ...(scope === undefined ? {} : scopeOf(scope)),
    },
  };
}

/** A field that is not known is refused: it would be lost. */
function checkFields(what: string, fields: object, known: readonly string[]): void {
  const unknown = Object.keys(fields).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`it has the field ${JSON.stringify(unknown)}, which no ${what} has`);
}

function metaOf(value: unknown): Uint8Array {
  const meta = base64Of(textOf('metaBase64', value));
  if (meta.length > META_BYTES_MAX) throw new Error(`metaBase64 has more than ${META_BYTES_MAX} bytes`);
  return meta;
}

function payloadOf({ payload, payloadBase64, dataBase64 }: Record<string, unknown>): Uint8Array {
  const given = [payload, payloadBase64, dataBase64].filter((each) => each !== undefined);
  if (given.length !== 1) throw new Error('it needs one of payload, payloadBase64 and dataBase64');
  const text = textOf('payload', given[0]);
  if (payload === undefined) return base64Of(text);
  if (/\p{Surrogate}/u.test(text)) throw new Error('payload has a lone surrogate, which is no text');
  return Buffer.from(text);
}

function textOf(name: string, value: unknown): string {
  if (typeof value !== 'string') throw new Error(`${name} is no text`);
  return value;
}

function integerOf(name: string, value: unknown, least: number, most: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    throw new Error(`${name} is no whole number from ${least} to ${most}`);
  }
  return value as number;
}

function scopeOf(value: unknown): Pick<AppendOptions, 'tenantId' | 'databaseId' | 'vshardId'> {
  const fields = (value ?? {}) as Record<string, unknown>;
  checkFields('scope', fields, SCOPE_FIELDS);
  const { tenantId, databaseId, vshardId } = fields;
  const idOf = (name: string, id: unknown): bigint => {
    if (typeof id !== 'string' || !/^\d{1,20}$/.test(id)) throw new Error(`${name} is no number as text`);
    if (BigInt(id) >= 2n ** 64n) throw new Error(`${name} has more than 64 bits`);
    return BigInt(id);
  };
  return {
    tenantId: idOf('tenantId', tenantId),
    databaseId: idOf('databaseId', databaseId),
    vshardId: integerOf('vshardId', vshardId, 0, 0xffff_ffff),
  };
}
