import { coded } from './arguments.js';
import type { Binding } from './binding.js';
import { binding, unavailableReason } from './load.js';

/** A function of the binary that not every platform has. */
type OptionalFunction = {
  [Name in keyof Binding]-?: undefined extends Binding[Name] ? Name : never;
}[keyof Binding];

/** Why a function is not available here, in one sentence; `undefined` when it is. `what` is a noun in the plural. */
export function missingReason(name: OptionalFunction, what: string): string | undefined {
  if (binding === undefined) return unavailableReason;
  return binding[name] === undefined ? `${what} are not available on ${process.platform}.` : undefined;
}

/** A function of the binary. @throws `Error` (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) with `reason` when it is missing */
export function required<Name extends OptionalFunction>(
  name: Name,
  reason: string | undefined,
): NonNullable<Binding[Name]> {
  const found = binding?.[name];
  // The type of a name that is not known yet does not narrow.
  if (found !== undefined) return found as NonNullable<Binding[Name]>;
  throw coded(new Error(reason), 'ERR_WALSTACK_NATIVE_UNAVAILABLE');
}
