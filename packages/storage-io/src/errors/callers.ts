/**
 * Waits for a promise. The stack of an error with which it rejects gets the functions that await the result: an error that is
 * made while completions are processed has none of them. Costs nothing but a promise as long as nothing fails.
 */
export async function withCallers<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw addCallers(error);
  }
}

/**
 * Adds the functions that wait for the present one to the stack of an error, as far as they are not in it. To be called in an
 * asynchronous function, behind its `await`.
 *
 * @returns the error
 */
export function addCallers(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { stack } = error;
  const present: unknown = new Error('here').stack;
  if (typeof stack !== 'string' || typeof present !== 'string') return error;
  // Without this function and the one that calls it.
  const [, , ...awaiting] = present.split('\n').filter((line) => FRAME.test(line));
  const callers = awaiting.filter((frame) => !OF_NODE.test(frame) && !stack.includes(placeIn(frame)));
  // The stack of an error of the application may be read-only.
  if (callers.length > 0) Reflect.set(error, 'stack', [stack, ...callers].join('\n'));
  return error;
}

const FRAME = /^ +at /;
const OF_NODE = /\(node:internal\//;

/** File, line and column of a frame: the same function is called by another name in a frame that was awaited. */
const placeIn = (frame: string): string => /\(([^()]+)\)$/.exec(frame)?.[1] ?? frame.replace(/^ +at (?:async )?/, '');
