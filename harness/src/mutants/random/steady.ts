import { HANGS } from '../parts.js';

/** What files of tests say of a change. */
export interface Noticed {
  /** How it was noticed; `undefined` when it was not. */
  readonly by: string | undefined;
  /** Files that have failed once, and did not again, or do so without the change. */
  readonly unsteady: readonly string[];
}

/**
 * Runs files of tests until one notices a change. One that fails now and then has noticed nothing: it has to pass without the
 * change, and to fail with it again.
 *
 * @param run - runs a file with the change or without it, and says what has failed
 */
export async function noticedSteadily(
  names: readonly string[],
  run: (name: string, isChanged: boolean) => Promise<string | undefined>,
): Promise<Noticed> {
  const unsteady: string[] = [];
  for (const name of names) {
    const by = await run(name, true);
    if (by === undefined) continue;
    const passesWithout = (await run(name, false)) === undefined;
    // What hangs takes long enough once.
    if (passesWithout && (by.endsWith(HANGS) || (await run(name, true)) !== undefined)) return { by, unsteady };
    unsteady.push(name);
  }
  return { by: undefined, unsteady };
}
