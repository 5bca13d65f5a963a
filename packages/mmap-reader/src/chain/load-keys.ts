import type { KeyRing } from '@walstack/codec';
import type { IoCondition, IoRoutine } from '@walstack/storage-io';

/**
 * Loads the keys with these ids into the ring, as far as it can get them; id 0 means no key.
 *
 * @param blocking - there is no waiting for a key service
 * @param signal - ends the waiting: a key service may never answer
 * @throws `WAL_BAD_KEY` when the callback of the ring fails, `WAL_UNSUPPORTED` when it would answer later in a blocking call;
 * the reason of `signal`
 */
export function* loadKeys(
  ring: KeyRing | undefined,
  ids: readonly number[],
  blocking: boolean,
  signal?: AbortSignal,
): IoRoutine<void> {
  if (ring === undefined) return;
  const missing = ids.filter((id) => id !== 0 && !ring.has(id));
  if (missing.length === 0) return;
  if (blocking) ring.loadSync(missing);
  else yield* awaited(ring.load(missing), signal);
}

/** Waits for a promise in a routine that runs on the event loop. @throws the reason of `signal` when it is aborted first */
function* awaited(promise: Promise<void>, signal: AbortSignal | undefined): IoRoutine<void> {
  let ended: { readonly error?: unknown } | undefined;
  const settled: IoCondition = (resume) => {
    const end = (how: { readonly error?: unknown }): void => {
      if (ended !== undefined) return;
      ended = how;
      signal?.removeEventListener('abort', abort);
      // Not inside the call that aborts the signal, which may come from the application or a step of another routine.
      queueMicrotask(resume);
    };
    const abort = (): void => end({ error: signal?.reason });
    promise.then(
      () => end({}),
      (error: unknown) => end({ error }),
    );
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort);
  };
  while (ended === undefined) yield settled;
  if ('error' in ended) throw ended.error;
}
