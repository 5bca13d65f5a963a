import { statSync } from 'node:fs';
import { FRAME_HEADER_BYTES, WalError } from '@walstack/codec';
import { replayDirectory } from '@walstack/mmap-reader';
import { type ReadFrom, type RecoveryReport, SegmentedWal } from '@walstack/segmented';
import { readFrames } from '@walstack/storage-io';
import type { Context } from '../context.js';
import { type LogEnd, withLogEnd } from '../log/locks.js';
import { configOf } from '../log/open-log.js';
import { decodingOf, type FramesOptions, framesOf, type KeyOptions } from '../log/options.js';
import type { CoresTarget, FramesTarget, LogTarget } from '../log/target.js';
import { Progress } from '../output/progress.js';
import { attemptOf, bytesBehindFrames, type Recovered } from './recovery.js';

/** How logs are verified. */
export interface VerifyOptions extends KeyOptions, FramesOptions {
  /** Also decrypt and decompress every record. */
  readonly decode?: boolean;
}

/** What verifying one log has found. */
export interface Verdict {
  readonly path: string;
  readonly ok: boolean;
  readonly bytes: number;
  readonly seconds: number;
  readonly report?: RecoveryReport;
  /** What the bytes behind the last record are, where there are any. */
  readonly end?: LogEnd;
  readonly frames?: number;
  /** Of a file of frames: what is behind the last one that can be read, and no padding. */
  readonly bytesBehind?: number;
  /** Of a per-core log as a whole: what recovering it keeps. */
  readonly recovered?: Recovered;
  readonly failure?: unknown;
}

/** Verifies logs and files, each by itself. @returns what was found @throws what is no verdict: an interruption, or a failure of the program */
export async function verifyAll(
  targets: readonly (LogTarget | FramesTarget)[],
  options: VerifyOptions,
  context: Context,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const target of targets) {
    const verdict =
      target.kind === 'frames'
        ? await verifyFrames(target, options, context)
        : await verifyLog(target, options, context);
    const { failure } = verdict;
    if (failure !== undefined && (!WalError.is(failure) || failure.code === 'WAL_ABORTED')) throw failure;
    verdicts.push(verdict);
  }
  return verdicts;
}

/**
 * Whether the logs of all cores belong together, once each by itself is sound.
 *
 * @returns `undefined`, with a remark, where that cannot be found out without keys
 */
export async function verifyTogether(
  target: CoresTarget,
  options: VerifyOptions,
  context: Context,
): Promise<Verdict | undefined> {
  const begun = performance.now();
  const { recovered, refusal } = await attemptOf(target, 'strict', options, context);
  const seconds = (performance.now() - begun) / 1000;
  const found = { path: target.directory, bytes: 0, seconds };
  if (refusal?.reason === 'missing-key') {
    context.err.write('without --key-file it is not verified that the cores belong together\n');
    return undefined;
  }
  if (recovered === undefined) return { ...found, ok: false, failure: refusal };
  return { ...found, ok: true, recovered };
}

async function verifyLog(target: LogTarget, options: VerifyOptions, context: Context): Promise<Verdict> {
  const progress = new Progress(context.err);
  let bytes = 0;
  const onProgress = (step: { phase: string; bytes: number; totalBytes: number }): void => {
    bytes = step.bytes;
    progress.show(step);
  };
  const path = target.directory;
  try {
    const config = await configOf(target, options, context);
    const { result: report, end } = await withLogEnd(target, () =>
      SegmentedWal.recover({ ...config, recoveryMode: 'readonly', onProgress }),
    );
    const seconds = progress.seconds;
    if (options.decode) await decodeAll(target, options, progress, context);
    return { path, ok: true, bytes, seconds, report, ...(report.cutBytes > 0 ? { end } : {}) };
  } catch (failure) {
    return { path, ok: false, bytes, seconds: progress.seconds, failure };
  } finally {
    progress.clear();
  }
}

/** Decrypts and decompresses every record. */
async function decodeAll(
  { directory }: LogTarget,
  options: VerifyOptions,
  progress: Progress,
  { signal }: Context,
): Promise<void> {
  const decoding = await decodingOf(options);
  for (let from: ReadFrom | undefined = 'first'; from !== undefined; ) {
    const all = replayDirectory(directory, {
      ...decoding,
      from,
      copy: false,
      onHole: 'skip',
      signal,
      onProgress: progress.show,
    });
    from = undefined;
    try {
      for await (const record of all) void record.payload;
    } catch (error) {
      // Its writer has removed what was to be decoded next.
      if (!WalError.is(error, 'WAL_TRUNCATED') || error.reason !== undefined || error.firstLsn === undefined)
        throw error;
      from = error.firstLsn;
    }
  }
}

async function verifyFrames(target: FramesTarget, options: FramesOptions, context: Context): Promise<Verdict> {
  const { path } = target;
  const progress = new Progress(context.err);
  let frames = 0;
  let bytes = 0;
  try {
    for await (const { data, position } of readFrames(path, { ...framesOf(options), copy: false })) {
      context.signal.throwIfAborted();
      frames++;
      bytes = position + FRAME_HEADER_BYTES + data.length;
    }
    const { seconds } = progress;
    // Mostly the last frame ends the file.
    const bytesBehind = bytes === statSync(path).size ? 0 : await bytesBehindFrames(target, options);
    return { path, ok: true, bytes, seconds, frames, bytesBehind };
  } catch (failure) {
    return { path, ok: false, bytes, seconds: progress.seconds, frames, failure };
  }
}
