/**
 * Returns `value` when it is an integer from `minimum` to `maximum`.
 *
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`)
 */
export function checkInteger(name: string, value: unknown, minimum: number, maximum: number): number {
  if (typeof value !== 'number') throw invalidType(name, 'a number', value);
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw outOfRange(name, `an integer from ${minimum} to ${maximum}`, value);
  }
  return value;
}

/** `TypeError`, code `ERR_INVALID_ARG_TYPE` */
export function invalidType(name: string, expected: string, value: unknown): TypeError {
  return coded(new TypeError(`"${name}" must be ${expected}, received ${typeof value}`), 'ERR_INVALID_ARG_TYPE');
}

/** `RangeError`, code `ERR_OUT_OF_RANGE` */
export function outOfRange(name: string, expected: string, value: unknown): RangeError {
  return coded(new RangeError(`"${name}" must be ${expected}, received ${String(value)}`), 'ERR_OUT_OF_RANGE');
}

/** An error with a stable `code`. */
export const coded = <E extends Error>(error: E, code: string): E => Object.assign(error, { code });

/** Makes sure that options are an object with only known names. @throws `TypeError` (`ERR_INVALID_ARG_TYPE`) */
export function checkOptions(options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw invalidType('options', 'an object', options);
  const unknown = Object.keys(options).find((each) => !known.includes(each));
  if (unknown === undefined) return;
  const message = `"options" has no option "${unknown}"; its options are ${known.join(', ')}`;
  throw coded(new TypeError(message), 'ERR_INVALID_ARG_TYPE');
}
