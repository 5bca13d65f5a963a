import type { SegmentedWal } from '@walstack/segmented';

/** A log, and whether a call of it has reported its failure. */
export interface ToldOfFailure {
  readonly wal: SegmentedWal;
  readonly isTold: () => boolean;
}

/**
 * Notes what is thrown by the calls of a log, and what their promises are rejected with, while the log has failed; and before,
 * as why records wait for room is the failure of a log that is closed meanwhile.
 */
export function toldOfFailure(wal: SegmentedWal): ToldOfFailure {
  let isTold = false;
  const before = new Set<unknown>();
  const note = (error: unknown): void => {
    isTold ||= wal.failure !== undefined;
    before.add(error);
    if (error instanceof Error) before.add(error.cause);
  };
  const noting =
    (call: (...args: unknown[]) => unknown) =>
    (...args: unknown[]): unknown => {
      try {
        const result = call.apply(wal, args);
        if (result instanceof Promise) result.catch(note);
        return result;
      } catch (error) {
        note(error);
        throw error;
      }
    };
  const noted = new Proxy(wal, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? noting(value as (...args: unknown[]) => unknown) : value;
    },
  });
  return { wal: noted, isTold: () => isTold || (wal.failure !== undefined && before.has(wal.failure)) };
}
