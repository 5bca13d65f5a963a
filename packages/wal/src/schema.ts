import { type Lsn, WalError } from '@walstack/codec';
import { checkInteger, invalidType, outOfRange } from '@walstack/codec/internal';

/**
 * A schema of any library that implements [Standard Schema](https://standardschema.dev): zod, valibot, arktype and others. Its
 * types are declared here, as the specification allows, so that no package is needed for them.
 *
 * `Input` is what may be appended, `Output` what the schema makes of it when it is read.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    /** The name of the library. */
    readonly vendor: string;
    /** Returns the value, or what is wrong with it. A promise is refused with `WAL_UNSUPPORTED`. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    /** Only for the compiler. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** What a {@link StandardSchema} says of a value. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** What a {@link StandardSchema} found wrong with a value. */
export interface SchemaIssue {
  readonly message: string;
  /** Where in the value: names of properties and indexes, from the outside to the inside. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The `cause` of a `WAL_BAD_PAYLOAD` with the `reason` `'schema'`. */
export interface SchemaError extends Error {
  readonly issues: readonly SchemaIssue[];
}

/** Returns `value` when it is a schema. @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) */
export function checkSchema(name: string, value: unknown): StandardSchema {
  // Schemas of some libraries are functions.
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  if (isObject && typeof (value as Partial<StandardSchema>)['~standard']?.validate === 'function')
    return value as StandardSchema;
  throw invalidType(name, 'a schema that implements Standard Schema', value);
}

/** A schema for each `type` of event. */
export interface EventSchemas {
  readonly [type: number]: StandardSchema;
}

/** What may be appended of each type, by its schema. */
export type SchemaInputs<S extends EventSchemas> = {
  readonly [K in keyof S & number]: S[K] extends StandardSchema<infer Input, unknown> ? Input : never;
};

/** What the events of each type have when they are read, by its schema. */
export type SchemaOutputs<S extends EventSchemas> = {
  readonly [K in keyof S & number]: S[K] extends StandardSchema<unknown, infer Output> ? Output : never;
};

/** The schema for the events of a type. @throws `WAL_BAD_PAYLOAD` when there is none; `RangeError` for what is no type */
export type SchemaFor = (type: number, lsn?: Lsn) => StandardSchema;

/**
 * Returns the schemas of an object by the type of event.
 *
 * @throws `TypeError`, `RangeError` for anything but schemas, or keys that are no types
 */
export function checkSchemas(name: string, value: unknown): SchemaFor {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value) && !('~standard' in value);
  if (!isObject) throw invalidType(name, 'an object with a schema for each type of event', value);
  const schemas = new Map<number, StandardSchema>();
  for (const [key, schema] of Object.entries(value)) {
    const type = Number(key);
    // '01' and '1' would be two schemas of one type.
    if (String(type) !== key || !Number.isInteger(type)) throw outOfRange(`a key of ${name}`, 'a type of events', key);
    schemas.set(checkInteger(`a key of ${name}`, type, 0, TYPE_MAX), checkSchema(`${name}[${key}]`, schema));
  }
  return (type, lsn) => schemas.get(checkInteger('type', type, 0, TYPE_MAX)) ?? raise(withoutSchema(type, lsn));
}

const TYPE_MAX = 0xffff_ffff;

function raise(error: Error): never {
  throw error;
}

/** The error of an event for whose type there is no schema. */
function withoutSchema(type: number, lsn: Lsn | undefined): WalError {
  const what =
    lsn === undefined
      ? `there is no schema for events of type ${type}: nothing was appended`
      : `there is no schema for the type ${type} of the event with LSN ${lsn}: add one, or read other \`types\``;
  return new WalError('WAL_BAD_PAYLOAD', what, { ...(lsn === undefined ? {} : { lsn }), reason: 'schema' });
}

/**
 * What a schema makes of a payload.
 *
 * @param lsn - of a payload that is read; `undefined` for one that is appended
 * @throws `WAL_BAD_PAYLOAD` when it is wrong, `WAL_UNSUPPORTED` for a schema that answers with a promise
 */
export function validated(schema: StandardSchema, payload: unknown, lsn?: Lsn): unknown {
  const result = answerOf(schema, payload, lsn);
  if (result instanceof Promise) {
    // Its answer comes too late, and so does its failure.
    result.catch(() => {});
    throw asynchronous(schema['~standard'].vendor);
  }
  if (result.issues === undefined) return result.value;
  throw mismatch(schemaError(result.issues), lsn);
}

function answerOf(schema: StandardSchema, payload: unknown, lsn: Lsn | undefined) {
  try {
    return schema['~standard'].validate(payload);
  } catch (error) {
    throw mismatch(error, lsn);
  }
}

function schemaError(issues: readonly SchemaIssue[]): SchemaError {
  const found = issues.map(({ message, path }) => (path?.length ? `${pathText(path)}: ${message}` : message));
  return Object.assign(new Error(found.join('; ')), { name: 'SchemaError', issues });
}

function mismatch(cause: unknown, lsn: Lsn | undefined): WalError {
  const text = cause instanceof Error ? cause.message : textOf(cause);
  if (lsn === undefined) {
    const what = `the payload does not match the schema (${text}): nothing was appended`;
    return new WalError('WAL_BAD_PAYLOAD', what, { reason: 'schema' }, { cause });
  }
  return new WalError(
    'WAL_BAD_PAYLOAD',
    `the payload with LSN ${lsn} does not match the schema (${text}): read the log with a schema that accepts what was ` +
      'appended earlier, or without one',
    { lsn, reason: 'schema' },
    { cause },
  );
}

/** Anything can be thrown, also a value that cannot be converted to text. */
export function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return 'it threw a value that cannot be converted to text';
  }
}

const pathText = (path: NonNullable<SchemaIssue['path']>): string =>
  path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.');

function asynchronous(vendor: string): WalError {
  const what = `the schema (${vendor}) answers with a promise, and payloads are checked while they are appended and read`;
  return new WalError('WAL_UNSUPPORTED', `${what}: use one without asynchronous checks`, { operation: 'validate' });
}
