import { type Profiler, Session } from 'node:inspector';
import { setFlagsFromString } from 'node:v8';

/** A payload for where it does not matter. */
export const aWord = 'word'.repeat(10);

/** The packages whose work is counted. */
const COUNTED = /\/packages\/wal\/(?:dist|src)\//;

/** Methods of arrays that go through elements: how many, at most. */
const WALKING = ['shift', 'unshift', 'splice', 'indexOf', 'includes', 'find', 'findIndex', 'slice'] as const;

// Of code that is optimized, or was compiled before, V8 counts some blocks and not others.
setFlagsFromString('--no-opt');
const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });

/**
 * Counts the work of this package's code: how often its blocks run, and how many elements array methods visit. The count
 * does not depend on the machine or on timing. Must be imported before the package.
 */
export async function workOf(run: () => Promise<void>): Promise<number> {
  takeCount();
  const walked = countWalks();
  try {
    await run();
    return walked.end() + takeCount();
  } finally {
    walked.end();
  }
}

/** How often blocks were run since this was called last. */
function takeCount(): number {
  let scripts: Profiler.ScriptCoverage[] = [];
  // In its own thread a session answers before `post` returns.
  session.post('Profiler.takePreciseCoverage', (error, answer) => {
    if (error !== null) throw error;
    scripts = answer.result;
  });
  return scripts
    .filter(({ url }) => COUNTED.test(url))
    .flatMap(({ functions }) => functions.flatMap(({ ranges }) => ranges))
    .reduce((sum, { count }) => sum + count, 0);
}

/** Counts the elements that methods of arrays may go through, of arrays that are not small. */
function countWalks(): { readonly end: () => number } {
  let walked = 0;
  const prototype = Array.prototype as unknown as Record<string, (...args: unknown[]) => unknown>;
  const before = new Map(WALKING.map((name) => [name, prototype[name] as (...args: unknown[]) => unknown]));
  for (const [name, method] of before) {
    const counting = function (this: unknown[], ...args: unknown[]): unknown {
      if (this.length > 64) walked += this.length;
      return method.apply(this, args);
    };
    Object.defineProperty(prototype, name, { value: counting, configurable: true, writable: true });
  }
  return {
    end: () => {
      for (const [name, value] of before) {
        Object.defineProperty(prototype, name, { value, configurable: true, writable: true });
      }
      return walked;
    },
  };
}
