/**
 * Argument checks that throw Node's own errors and codes, used by every package.
 */

import { fileURLToPath } from 'node:url';
import { nearestName } from './nearest-name.js';

/** An error as Node throws it: `TypeError` or `RangeError` with a `code`. */
type Coded<E extends Error> = E & { code: string };

const coded = <E extends Error>(error: E, code: string): Coded<E> => Object.assign(error, { code });

/** Longer text is not shown in messages, not even in part: it may be a key in hexadecimal digits or base64. */
const SHOWN_CHARACTERS_MAX = 24;
const SHOWN_BIGINT_MAX = 2n ** 64n;

const shown = (value: unknown): string => {
  if (typeof value === 'string') {
    return value.length <= SHOWN_CHARACTERS_MAX ? JSON.stringify(value) : `a string of ${value.length} characters`;
  }
  if (typeof value === 'bigint')
    return value < SHOWN_BIGINT_MAX && value > -SHOWN_BIGINT_MAX ? `${value}n` : 'a bigint beyond 64 bits';
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
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) when it is not a number, `RangeError` (`ERR_OUT_OF_RANGE`) when it is
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
    const range = minimum === maximum ? `${minimum}` : `an integer from ${minimum} to ${maximum}`;
    throw outOfRange(name, range, value);
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

/** Taken from the prototype, and not from the value: a subclass of `Uint8Array` may override `length`. */
const lengthGetter = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'length')
  ?.get as () => number;
const { set } = Uint8Array.prototype;
const nothing = new Uint8Array(0);

/** The present length of a view, in bytes. @throws `TypeError` for anything but a typed array */
export const lengthOf = (bytes: Uint8Array): number => lengthGetter.call(bytes);

/**
 * Returns `value` when it is a `Uint8Array` whose memory is available. A view of a detached (transferred) buffer, or one
 * that extends beyond a buffer that was shrunk, has length 0 and cannot be told from an empty one by its length.
 *
 * @param expected - the types that are allowed, for the message
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`)
 */
export function checkMemory(name: string, value: unknown, expected = 'a Uint8Array'): Uint8Array {
  checkedLength(name, value, expected);
  return value as Uint8Array;
}

/** Checks like {@link checkMemory}, and returns the present length in bytes. */
export function checkedLength(name: string, value: unknown, expected = 'a Uint8Array'): number {
  // A proxy of a Uint8Array is refused too: reading it would call functions of the application.
  if (!(value instanceof Uint8Array) || !ArrayBuffer.isView(value)) throw invalidType(name, expected, value);
  const length = lengthOf(value);
  if (length === 0) requireAttached(name, value);
  return length;
}

/** @throws when an array of length 0 has a detached buffer, or lies beyond the end of its buffer */
function requireAttached(name: string, value: Uint8Array): void {
  try {
    set.call(nothing, value);
  } catch {
    throw invalidMemory(name, 'is not available any more: its buffer was transferred or shrunk');
  }
}

/** The error for bytes whose memory is gone or has changed: `TypeError`, code `ERR_INVALID_ARG_VALUE`. */
export function invalidMemory(name: string, what: string): Coded<TypeError> {
  return coded(new TypeError(`the memory of "${name}" ${what}`), 'ERR_INVALID_ARG_VALUE');
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

/** A method that every supported Node.js has, but the configured language version of the types does not. */
interface WellFormedText {
  isWellFormed(): boolean;
}

/**
 * Returns `text` when UTF-8 can encode it. The encoder would silently replace a lone surrogate by another character.
 *
 * @throws `RangeError` (`ERR_OUT_OF_RANGE`), whose message does not contain the text
 */
export function checkText(name: string, text: string): string {
  if ((text as unknown as WellFormedText).isWellFormed()) return text;
  const message = `"${name}" must be text without lone surrogates, which UTF-8 cannot encode`;
  throw coded(new RangeError(message), 'ERR_OUT_OF_RANGE');
}

/**
 * Returns `value` when it is one of `allowed`.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) when it is not a string, `RangeError` (`ERR_OUT_OF_RANGE`) otherwise
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
 * Returns a path that is given as a string, or as a `file:` URL.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`)
 */
export function checkPath(name: string, value: unknown): string {
  if (value instanceof URL) return checkPathText(name, pathOf(name, value));
  if (typeof value !== 'string') throw invalidType(name, 'a path: a string or a file: URL', value);
  return checkPathText(name, value);
}

/**
 * Returns `value` when it is a string that is not empty and holds no NUL character.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`)
 */
export function checkPathText(name: string, value: unknown): string {
  if (typeof value !== 'string') throw invalidType(name, 'a string', value);
  if (value === '' || value.includes('\0')) throw outOfRange(name, 'a path', value);
  return value;
}

function pathOf(name: string, url: URL): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    // Not the whole address, which may hold a password.
    const what = `"${name}" must be a path or a file: URL, received a ${url.protocol} URL that is no path here`;
    throw coded(new RangeError(what, { cause }), 'ERR_OUT_OF_RANGE');
  }
}

/**
 * Returns `value` when it is an options object. If its class or its prototype may provide options, the result is a plain
 * object with all of them, so that copying or destructuring it loses none.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), also for an option that is not among `known`, so that a misspelt one is
 * not ignored
 */
export function checkOptions<T extends object>(name: string, value: T, known: readonly (keyof T & string)[]): T {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidType(name, 'an object', value);
  // `for … in` and not `Object.keys`, which allocates an array: this runs for every record appended with options.
  for (const option in value) {
    if (!known.includes(option as keyof T & string)) throw unknownOption(name, option, known);
  }
  return Object.getPrototypeOf(value) === Object.prototype ? value : plain(value, known);
}

/** More names than these are not listed in a message. */
const LISTED_OPTIONS_MAX = 8;

function unknownOption(name: string, option: string, known: readonly string[]): Coded<TypeError> {
  const nearest = nearestName(option, known);
  const listed =
    known.length <= LISTED_OPTIONS_MAX
      ? `its options are ${known.join(', ')}`
      : `none of its ${known.length} options, which the README lists, has a similar name`;
  const advice = nearest === undefined ? listed : `did you mean "${nearest}"?`;
  return coded(new TypeError(`"${name}" has no option "${option}": ${advice}`), 'ERR_INVALID_ARG_TYPE');
}

/** Copies own and inherited options, each read once; `undefined` counts as not given. */
function plain<T extends object>(value: T, known: readonly (keyof T & string)[]): T {
  const options: Partial<T> = {};
  for (const option of known) {
    const given = value[option];
    if (given !== undefined) options[option] = given;
  }
  return options as T;
}

/**
 * The names of all options of a type, for {@link checkOptions}. The compiler checks the list against the type: a missing
 * name and an unknown one are both type errors.
 */
export function optionNames<T extends object>(
  names: { readonly [Name in keyof T]-?: true },
): readonly (keyof T & string)[] {
  return Object.freeze(Object.keys(names) as (keyof T & string)[]);
}

/**
 * The error for `new` of a class whose objects come from a static method: `TypeError`, code `ERR_ILLEGAL_CONSTRUCTOR`.
 *
 * @param instead - what to write instead
 */
export function notConstructible(name: string, instead: string): Coded<TypeError> {
  return coded(new TypeError(`a ${name} is not made with new: ${instead}`), 'ERR_ILLEGAL_CONSTRUCTOR');
}
