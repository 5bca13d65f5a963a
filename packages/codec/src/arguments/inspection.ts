import { type InspectOptions, inspect } from 'node:util';

/**
 * What `console.log` and `util.inspect` show of an object whose state is private: its class and some facts. Called from the
 * method `[inspect.custom]` of its class, with the arguments of that.
 *
 * @param facts - `undefined` ones are left out
 */
export function inspected(name: string, facts: object, depth: number, options: InspectOptions): string {
  if (depth < 0) return `[${name}]`;
  const known = Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact !== undefined));
  const { depth: most = 2 } = options;
  return `${name} ${inspect(known, { ...options, depth: most === null ? null : most - 1 })}`;
}
