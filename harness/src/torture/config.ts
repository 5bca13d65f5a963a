import type { LogOptions as Config } from '@walstack/percore';
import { makeKeys } from '../model/keys.js';
import type { LogOptions } from './job.js';

/** How a log with these options is opened: what cannot be handed to another process as text is made here. */
export function configOf({ encrypted, compressed, preset, ...options }: LogOptions): Config {
  return {
    ...(preset === undefined ? options : { preset }),
    ...(encrypted ? { keyRing: makeKeys() } : {}),
    ...(compressed ? { compression: { codec: 'deflate', thresholdBytes: 100 } } : {}),
  };
}

/** Whether a log with these options drops by itself what is up to its checkpoint. */
export const retains = ({ retainBytes, preset }: LogOptions): boolean =>
  retainBytes !== undefined && preset === undefined;
