import { checkMemory, checkOptions, optionNames } from '@walstack/codec';
import type { AppendOptions } from '@walstack/segmented';

/** Names of the options of an event. */
export const EVENT_OPTIONS = optionNames<AppendOptions>({
  type: true,
  meta: true,
  tenantId: true,
  databaseId: true,
  vshardId: true,
});

/**
 * What a commit that has to wait keeps of its arguments: the caller may go on using them. Wrong types are refused now
 * and not when its turn has come.
 */

/** A copy. Not `slice`, of which Node's `Buffer` makes a view of the same memory. */
export function keepBytes(name: string, bytes: Uint8Array | string): Uint8Array | string {
  if (typeof bytes === 'string') return bytes;
  return new Uint8Array(checkMemory(name, bytes, 'a Uint8Array or a string'));
}

/** A copy with its meta copied. */
export function keepOptions(options: AppendOptions): AppendOptions {
  const { meta, ...others } = checkOptions('options', options, EVENT_OPTIONS);
  return meta === undefined ? others : { ...others, meta: keepBytes('meta', meta) };
}
