import { markAsUntransferable } from 'node:worker_threads';

/**
 * New memory that views of records share: transferring one of them to another thread must not detach the others, nor what is still to be
 * read. Node.js copies such a buffer, or refuses it with a `DataCloneError`.
 */
export function untransferable(bytes: number): Uint8Array<ArrayBuffer> {
  const memory = new Uint8Array(bytes);
  markAsUntransferable(memory.buffer);
  return memory;
}
