import { checkStream } from '../options.js';
import { LogStream } from '../stream/log-stream.js';
import type { CoresStreamOptions } from './cores-options.js';

/** The cores of a per-core log that have a stream, in the order of their ids. @param signal - ends the waiting for a server */
export async function coresInCluster(
  { connection, log, timeoutMs }: CoresStreamOptions,
  signal?: AbortSignal,
): Promise<readonly number[]> {
  const settings = checkStream({ connection, log, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
  const names = await LogStream.names({ ...settings, signal }, `${settings.subject}.*`);
  return names
    .filter((name) => name.startsWith(`${settings.stream}-`))
    .map((name) => name.slice(settings.stream.length + 1))
    .filter((core) => /^\d+$/.test(core))
    .map(Number)
    .sort((one, other) => one - other);
}
