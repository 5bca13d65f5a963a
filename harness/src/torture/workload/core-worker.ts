// What runs in the worker thread of a core.
import { once } from 'node:events';
import type { ConfigureCore, CoreContext } from '@walstack/percore';
import { configOf } from '../config.js';
import type { Job, LogOptions } from '../job.js';
import { CoreAuthor } from './core-author.js';
import { print } from './print.js';

/**
 * Writes to the log of a core. First it is sent how many puts there are already; then epochs, of each of which it answers
 * how many puts there are up to its end.
 */
export async function write({ writer, options, port, signal }: CoreContext): Promise<number> {
  const [last] = (await once(port, 'message')) as [number];
  // The manager was given the job as the options of this function.
  const author = new CoreAuthor(writer, options as Job, last, print);
  port.on('message', (epoch: number) => port.postMessage(author.upTo(epoch)));
  return author.write(signal);
}

/** Makes the keys, which cannot be sent to another thread. */
export const configure: ConfigureCore = (_coreId, options) => configOf(options as LogOptions);
