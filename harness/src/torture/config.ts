import type { LogOptions as Config } from '@walstack/percore';
import { makeKeys } from '../model/keys.js';
import type { LogOptions } from './job.js';

/** How a log with these options is opened: what cannot be handed to another process as text is made here. */
export function configOf({ encrypted, compressed, ...options }: LogOptions): Config {
  return {
    ...options,
    ...(encrypted ? { keyRing: makeKeys() } : {}),
    ...(compressed ? { compression: { codec: 'deflate', thresholdBytes: 100 } } : {}),
  };
}
