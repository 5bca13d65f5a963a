import type { KeyRing } from '@walstack/codec';
import type { IoCondition, IoRoutine } from '@walstack/storage-io';

/**
 * Has the keys with these ids at hand, as far as the ring can get them; 0 is none.
 *
 * @param blocking - nobody can wait for a key service
 * @throws `WAL_BAD_KEY` when the callback of the ring fails, `WAL_UNSUPPORTED` when it would answer later in a blocking call
 */
export function* loadKeys(ring: KeyRing | undefined, ids: readonly number[], blocking: boolean): IoRoutine<void> {
  if (ring === undefined) return;
  const missing = ids.filter((id) => id !== 0 && !ring.has(id));
  if (missing.length === 0) return;
  if (blocking) ring.loadSync(missing);
  else yield* awaited(ring.load(missing));
}

/** Waits for a promise, in a routine that is run on the event loop. */
function* awaited(promise: Promise<void>): IoRoutine<void> {
  let ended: { readonly error?: unknown } | undefined;
  const settled: IoCondition = (resume) => {
    promise.then(
      () => {
        ended = {};
        resume();
      },
      (error: unknown) => {
        ended = { error };
        resume();
      },
    );
  };
  while (ended === undefined) yield settled;
  if ('error' in ended) throw ended.error;
}
