import { checkStream, type LogStreamOptions, type StreamSettings } from '../options.js';

/** Which streams the logs of all cores of a per-core log are replicated to: each has one of its own, and so has the manifest. */
export type CoresStreamOptions = Omit<LogStreamOptions, 'core' | 'stream' | 'subject'>;

/** The names in {@link CoresStreamOptions}. */
export const CORES_STREAM_OPTIONS = ['connection', 'log', 'timeoutMs'] as const;

/** The stream of the manifest of a per-core log. */
export function manifestSettings(options: CoresStreamOptions): StreamSettings {
  const { connection, log, timeoutMs } = options;
  const { stream, subject } = checkStream({ connection, log });
  const names = { stream: `${stream}-manifest`, subject: `${subject}.manifest` };
  return checkStream({ connection, log, ...names, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
}

/** The options of the stream of one core. */
export const coreOptions = ({ connection, log, timeoutMs }: CoresStreamOptions, core: number): LogStreamOptions => ({
  connection,
  log,
  core,
  ...(timeoutMs === undefined ? {} : { timeoutMs }),
});
