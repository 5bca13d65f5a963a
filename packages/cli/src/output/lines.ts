import type { Readable } from 'node:stream';
import { WalError } from '@walstack/codec';

const LINE_FEED = 10;

/**
 * The lines of a stream as bytes, without their line feeds; a last one without a line feed too. Ends when the signal is aborted,
 * also while it waits for input.
 *
 * @param lineBytesMax - a longer line is `WAL_TOO_LARGE`, before all of it is in memory
 * @returns whether all lines were read
 */
export async function* linesOf(
  stream: Readable,
  signal: AbortSignal,
  lineBytesMax: number,
): AsyncGenerator<Buffer, boolean> {
  const chunks: AsyncIterator<Buffer | string> = stream[Symbol.asyncIterator]();
  let parts: Buffer[] = [];
  let bytes = 0;
  for (;;) {
    const next = await unlessAborted(() => chunks.next(), signal);
    if (next === undefined || signal.aborted) return false;
    if (next.done === true) break;
    const chunk = typeof next.value === 'string' ? Buffer.from(next.value) : next.value;
    let from = 0;
    for (let at = chunk.indexOf(LINE_FEED); at >= 0; at = chunk.indexOf(LINE_FEED, from)) {
      parts.push(chunk.subarray(from, at));
      yield parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
      parts = [];
      bytes = 0;
      from = at + 1;
    }
    if (from === chunk.length) continue;
    parts.push(chunk.subarray(from));
    bytes += chunk.length - from;
    if (bytes > lineBytesMax) throw tooLong(lineBytesMax);
  }
  if (parts.length > 0) yield Buffer.concat(parts);
  return true;
}

/** `undefined` when a signal is aborted first. Not `Promise.race`: a promise that is never settled would keep every result. */
function unlessAborted<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  if (signal.aborted) return Promise.resolve(undefined);
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(undefined);
    signal.addEventListener('abort', stop, { once: true });
    call()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', stop));
  });
}

const tooLong = (limit: number): WalError =>
  new WalError('WAL_TOO_LARGE', `a line is longer than ${limit} bytes`, { limit });
