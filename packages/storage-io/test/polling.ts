import { CompletionBuffer, type IoToken, type StorageIo } from '@walstack/storage-io';

/** What one poll gives: token and result of each completion. */
export function poll(io: StorageIo, capacity = 64): [token: IoToken, result: number][] {
  const out = new CompletionBuffer(capacity);
  const count = io.pollCompletions(out);
  return Array.from({ length: count }, (_, index) => [out.tokens[index] as number, out.results[index] as number]);
}

/** The result of a submission of a backend that has done its work by now. */
export function resultOf(io: StorageIo, token: IoToken): number {
  const result = new Map(poll(io)).get(token);
  if (result === undefined) throw new Error(`token ${token} has not completed`);
  return result;
}

/** Lets the event loop go round. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
