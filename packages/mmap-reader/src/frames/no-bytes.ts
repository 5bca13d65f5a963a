import { untransferable } from '../windows/untransferable.js';

/** The memory, one byte: that of an array without bytes would not tell whether it was taken away. */
let memory = new Uint8Array(0);
let empty = memory;

/**
 * An array without bytes, for meta and payloads that have none. It is the same one for all records, as making one costs as
 * much as the rest of a record: transferring it to another thread must not detach it.
 */
export function noBytes(): Uint8Array {
  if (memory.length === 0) renew();
  return empty;
}

function renew(): void {
  memory = untransferable(1);
  empty = memory.subarray(0, 0);
}
