import { type Wal, WalError } from '@walstack/wal';
import type { IngestEvent } from './event.js';
import type { Message } from './event-stream.js';

/** How many events are taken from the log at a time. */
const BATCH = 256;

/**
 * The events of the log from an LSN on, as messages whose ids are LSNs, and a heartbeat where there was none for some time.
 * Events that retention removes before they are read are announced by a message `gap`.
 */
export async function* followedEvents(
  wal: Wal<IngestEvent>,
  from: number | 'first',
  { heartbeatMs, signal }: { readonly heartbeatMs: number; readonly signal: AbortSignal },
): AsyncGenerator<Message | undefined> {
  const follower = wal.follow(from, { batch: BATCH, onTruncated: 'skip', signal });
  const take = () => {
    const next = follower.next();
    // It may be rejected while the client does not read; then the loop sees that later.
    next.catch(() => {});
    return next;
  };
  try {
    let gaps = 0;
    let next = take();
    for (;;) {
      const arrived = await within(heartbeatMs, next);
      if (arrived === undefined) {
        yield undefined;
        continue;
      }
      if (arrived.done === true) return;
      for (const gap of follower.skipped.slice(gaps)) yield { event: 'gap', data: gap };
      gaps = follower.skipped.length;
      for (const { lsn, timestampMs, payload } of arrived.value) {
        yield { id: lsn, data: { lsn, timestampMs, ...payload } };
      }
      next = take();
    }
  } catch (error) {
    // The client has left, or the log is being closed: it connects again.
    if (!WalError.is(error, 'WAL_ABORTED') && !WalError.is(error, 'WAL_CLOSED')) throw error;
  } finally {
    await follower.return();
  }
}

/** The result of a promise, or `undefined` when it takes longer. */
async function within<Result>(ms: number, promise: Promise<Result>): Promise<Result | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
