/**
 * Calls a listener. What it throws becomes an uncaught exception, in a microtask: no caller could handle it, and the
 * caller continues.
 */
export function callListener<Argument>(listener: (argument: Argument) => void, argument: Argument): void {
  try {
    listener(argument);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
