/**
 * Checks of arguments, with Node's own errors and codes, for every layer.
 */

/** An error of Node's kind: `TypeError` or `RangeError` with a `code`. */
type Coded<E extends Error> = E & { code: string };

const coded = <E extends Error>(error: E, code: string): Coded<E> => Object.assign(error, { code });

const shown = (value: unknown): string => {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return `an instance of ${value.constructor?.name ?? 'Object'}`;
  return String(value);
};

/** The error for an argument of the wrong type: `TypeError`, code `ERR_INVALID_ARG_TYPE`. */
export function invalidType(name: string, expected: string, value: unknown): Coded<TypeError> {
  return coded(new TypeError(`"${name}" must be ${expected}, received ${shown(value)}`), 'ERR_INVALID_ARG_TYPE');
}

/** The error for an argument with an impossible value: `RangeError`, code `ERR_OUT_OF_RANGE`. */
export function outOfRange(name: string, expected: string, value: unknown): Coded<RangeError> {
  return coded(new RangeError(`"${name}" must be ${expected}, received ${shown(value)}`), 'ERR_OUT_OF_RANGE');
}

/**
 * Returns `value` when it is an integer from `minimum` to `maximum`.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) when it is no number, `RangeError` (`ERR_OUT_OF_RANGE`) when it is
 * fractional, NaN or out of range
 */
export function checkInteger(
  name: string,
  value: unknown,
  minimum = 0,
  maximum: number = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== 'number') throw invalidType(name, 'a number', value);
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw outOfRange(name, `an integer from ${minimum} to ${maximum}`, value);
  }
  return value;
}

/**
 * Returns `value` when it is a `Uint8Array`, of `length` bytes when that is given.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`) for another length
 */
export function checkBytes(name: string, value: unknown, length?: number): Uint8Array {
  if (!(value instanceof Uint8Array)) throw invalidType(name, 'a Uint8Array', value);
  if (length !== undefined) checkInteger(`${name}.length`, value.length, length, length);
  return value;
}

/**
 * Returns `value` as a bigint when it is an unsigned integer of at most `bits` bits, given as number or bigint.
 *
 * @throws like {@link checkInteger}
 */
export function checkUnsigned(name: string, value: unknown, bits: 32 | 64): bigint {
  const maximum = (1n << BigInt(bits)) - 1n;
  if (typeof value !== 'number' && typeof value !== 'bigint') throw invalidType(name, 'a number or bigint', value);
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw outOfRange(name, `a safe integer, or a bigint, from 0 to ${maximum}`, value);
  }
  const wide = BigInt(value);
  if (wide < 0n || wide > maximum) throw outOfRange(name, `an integer from 0 to ${maximum}`, value);
  return wide;
}

/**
 * Returns `value` when it is one of `allowed`.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) when it is no string, `RangeError` (`ERR_OUT_OF_RANGE`) otherwise
 */
export function checkOneOf<T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  if (typeof value !== 'string') throw invalidType(name, 'a string', value);
  if (!allowed.includes(value as T)) {
    throw outOfRange(name, `one of ${allowed.map((each) => `'${each}'`).join(', ')}`, value);
  }
  return value as T;
}

/**
 * Returns `value` when it is a boolean.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`)
 */
export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalidType(name, 'a boolean', value);
  return value;
}

/**
 * Returns `value` when it is a string that is not empty and holds no NUL character.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`)
 */
export function checkPath(name: string, value: unknown): string {
  if (typeof value !== 'string') throw invalidType(name, 'a string', value);
  if (value === '' || value.includes('\0')) throw outOfRange(name, 'a path', value);
  return value;
}

/**
 * Returns `value` when it is an object of options.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), also for an option that is not among `known`, so that a misspelt one is
 * not ignored
 */
export function checkOptions<T extends object>(name: string, value: T, known: readonly (keyof T & string)[]): T {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidType(name, 'an object', value);
  // Not the array of `Object.keys`: records have options, too.
  for (const option in value) {
    if (!known.includes(option as keyof T & string)) {
      const message = `"${name}" has no option "${option}"; its options are ${known.join(', ')}`;
      throw coded(new TypeError(message), 'ERR_INVALID_ARG_TYPE');
    }
  }
  return value;
}
