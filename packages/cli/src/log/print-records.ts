import { replayDirectory } from '@walstack/mmap-reader';
import type { ReadFrom } from '@walstack/segmented';
import { readFrames } from '@walstack/storage-io';
import type { Context } from '../context.js';
import { UsageError } from '../exit-codes.js';
import type { Progress } from '../output/progress.js';
import { hexLines, printable, recordText } from '../output/record-text.js';
import { decodingOf, type FramesOptions, framesOf, type ReadLogOptions } from './options.js';
import { formatOf, type SelectionOptions } from './selection.js';
import type { FramesTarget, LogTarget } from './target.js';

/** Which records are printed, and how. */
export interface PrintOptions extends ReadLogOptions, FramesOptions, SelectionOptions {
  readonly from?: ReadFrom;
  readonly limit?: number;
  readonly skipHoles?: boolean;
}

/** Prints the records of one log. @returns how many */
export async function printRecords(
  { directory }: LogTarget,
  options: PrintOptions,
  { out, signal }: Pick<Context, 'out' | 'signal'>,
  progress?: Progress,
): Promise<number> {
  const { from, to, limit = Number.POSITIVE_INFINITY, since = 0, type, skipHoles } = options;
  const format = formatOf(options);
  const records = replayDirectory(directory, {
    ...(await decodingOf(options)),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(type === undefined ? {} : { types: type }),
    onHole: skipHoles ? 'skip' : 'throw',
    copy: false,
    signal,
    ...(progress === undefined ? {} : { onProgress: progress.show }),
  });
  let printed = 0;
  for await (const record of records) {
    if (record.timestampMs < since) continue;
    // Copied here: the record is a view that is valid until the next one.
    const text = recordText(record, format);
    await out.write(typeof text === 'string' ? text : Buffer.from(text));
    if (++printed >= limit) break;
  }
  return printed;
}

/** Prints the frames of a file: they have a position and data, nothing else. @returns how many */
export async function printFrames(
  { path }: FramesTarget,
  options: PrintOptions,
  { out, signal }: Pick<Context, 'out' | 'signal'>,
): Promise<number> {
  const { limit = Number.POSITIVE_INFINITY, from, to, type, since } = options;
  if (from !== undefined || to !== undefined || type !== undefined || since !== undefined) {
    throw new UsageError(`${path} is a file of frames, which have no LSN, type and time`);
  }
  const format = formatOf(options);
  let printed = 0;
  for await (const { position, data } of readFrames(path, framesOf(options))) {
    signal.throwIfAborted();
    if (format === 'utf8') await out.write(Buffer.concat([data, Buffer.from('\n')]));
    else if (format === 'json') await out.json({ position, dataBase64: Buffer.from(data).toString('base64') });
    else if (format === 'hex')
      await out.line([`position ${position}  ${data.length} bytes`, ...hexLines(data)].join('\n'));
    else await out.line(`${String(position).padStart(10)}  ${printable(data, 160)}`);
    if (++printed >= limit) break;
  }
  return printed;
}
