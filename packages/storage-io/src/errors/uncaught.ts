/** Makes what a callback has thrown an uncaught exception, outside of what called it: the caller goes on. */
export function throwUncaught(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
