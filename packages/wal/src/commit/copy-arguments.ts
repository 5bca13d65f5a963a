import { checkMemory, checkOptions } from '@walstack/codec/internal';
import type { AppendOptions } from '@walstack/segmented';
import { APPEND_OPTIONS } from '@walstack/segmented/internal';

/**
 * Copies of the arguments of a commit that has to wait, because the caller may change them meanwhile, or that are read twice. Wrong
 * types are rejected at the call, and not when the commit is admitted.
 */

/** Copies bytes. Not with `slice`, which returns a view of the same memory for Node's `Buffer`. */
export function copyBytes(name: string, bytes: Uint8Array | string): Uint8Array | string {
  if (typeof bytes === 'string') return bytes;
  return new Uint8Array(checkMemory(name, bytes, 'a Uint8Array or a string'));
}

/** The options of an event, each of which was read: a getter may return another value the next time. */
export function readOnce<O extends AppendOptions>(
  options: O | undefined,
  known: readonly (keyof O & string)[],
): O | undefined {
  return options === undefined ? undefined : { ...checkOptions('options', options, known) };
}

/** Copies the options of an event, with their meta. */
export function copyOptions(options: AppendOptions): AppendOptions {
  const { meta, ...others } = checkOptions('options', options, APPEND_OPTIONS);
  return meta === undefined ? others : { ...others, meta: copyBytes('meta', meta) };
}
