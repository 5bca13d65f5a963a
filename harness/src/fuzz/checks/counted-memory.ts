/**
 * The bytes of all arrays that are made by their length during a call: memory that is taken for what a file only claims
 * would show here, whether it is given back or not.
 */
export function memoryTakenBy(call: () => void): number {
  const Original = globalThis.Uint8Array;
  let taken = 0;
  globalThis.Uint8Array = new Proxy(Original, {
    construct(target, args: unknown[], newTarget) {
      if (typeof args[0] === 'number') taken += args[0];
      // The very arguments that the constructor was called with.
      return Reflect.construct(target, args, newTarget === globalThis.Uint8Array ? Original : newTarget) as object;
    },
  });
  try {
    call();
  } finally {
    globalThis.Uint8Array = Original;
  }
  return taken;
}
