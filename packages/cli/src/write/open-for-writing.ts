import { existsSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { isCoreDirectoryName } from '@walstack/codec';
import { Wal, type WalOptions } from '@walstack/wal';
import type { Context } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { decodingOf, type KeyOptions } from '../log/options.js';
import { type FramesTarget, isLogDirectory, type LogTarget, targetAt } from '../log/target.js';
import { Progress } from '../output/progress.js';

/** The target of a command that writes: with `create` also a log that is not there yet. */
export function writableTarget(log: string, create: boolean): LogTarget | FramesTarget {
  const path = resolve(log);
  if (create && !existsSync(path)) return newLog(path);
  const target = targetAt(path);
  if (target.kind === 'cores' || (target.kind === 'log' && target.coreId !== undefined)) {
    throw new UsageError(
      `${path} is a per-core log or a part of one, which only its writers change: use @walstack/percore`,
    );
  }
  return target;
}

/** A log that is to be made: not inside another one, which could not be opened any more. */
function newLog(path: string): LogTarget {
  if (isCoreDirectoryName(basename(path))) {
    throw new UsageError(`${path} has the name of a core's log, which only @walstack/percore makes`);
  }
  if (isLogDirectory(dirname(path))) throw new UsageError(`${dirname(path)} is a log: make the new one elsewhere`);
  return { kind: 'log', directory: path };
}

/** Opens a log for writing, as a program does that writes it: a torn tail is cut off. Closes it behind `use`, everything durable. */
export async function withWritable<T>(
  directory: string,
  options: KeyOptions,
  context: Context,
  more: Pick<WalOptions, 'create' | 'firstLsn' | 'io'>,
  use: (wal: Wal) => Promise<T>,
): Promise<T> {
  const progress = new Progress(context.err);
  let wal: Wal;
  try {
    wal = await Wal.open(directory, {
      create: false,
      ...more,
      ...(await decodingOf(options)),
      signal: context.signal,
      onProgress: progress.show,
    });
  } finally {
    progress.clear();
  }
  let result: T;
  try {
    result = await use(wal);
  } catch (error) {
    // What has ended the command is reported, and not what closing the log adds to it.
    await wal.shutdown().catch(() => {});
    throw error;
  }
  await wal.shutdown();
  return result;
}
