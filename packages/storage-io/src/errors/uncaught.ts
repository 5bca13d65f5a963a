/** Rethrows what a callback has thrown as an uncaught exception, in a microtask: the caller of the callback continues. */
export function throwUncaught(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
