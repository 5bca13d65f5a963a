import { WalError } from '@walstack/codec';
import { replayDirectory } from '@walstack/mmap-reader';
import { type RecoveryReport, SegmentedWal } from '@walstack/segmented';
import { readFrames } from '@walstack/storage-io';
import type { Command } from 'commander';
import type { Context } from '../context.js';
import { ExitCode, exitCodeOf } from '../exit-codes.js';
import { configOf } from '../log/open-log.js';
import {
  decodingOf,
  type FramesOptions,
  framesOf,
  type ReadLogOptions,
  withFramesOptions,
  withLogOptions,
} from '../log/options.js';
import { type FramesTarget, type LogTarget, logOf, logsOf, targetAt } from '../log/target.js';
import { errorJson } from '../output/error-json.js';
import { Progress, rateText } from '../output/progress.js';
import { bytesText, countText } from '../output/units.js';

interface VerifyOptions extends ReadLogOptions, FramesOptions {
  readonly decode?: boolean;
}

/** Adds `walstack verify`. */
export function verifyCommand(program: Command, context: Context): void {
  withFramesOptions(withLogOptions(program.command('verify')))
    .summary('every checksum and the chain of segments')
    .description(
      'Verifies every checksum of a log, that its LSNs have no gap, and that its segments follow each other. Works beside a writer.',
    )
    .argument('<log>', 'a directory with a log or a per-core log, or a file of frames')
    .option('--decode', 'also decrypt and decompress every record')
    .addHelpText('after', EXAMPLES)
    .action((log: string, options: VerifyOptions) => verify(log, options, context));
}

const EXAMPLES = `
Examples:
  walstack verify data/events
  walstack verify data/events --decode --key-file keys.json
  walstack verify backups/events --json || echo damaged`;

/** What verifying one log has found. */
interface Verdict {
  readonly path: string;
  readonly ok: boolean;
  readonly bytes: number;
  readonly seconds: number;
  readonly report?: RecoveryReport;
  readonly frames?: number;
  readonly failure?: unknown;
}

async function verify(log: string, options: VerifyOptions, context: Context): Promise<void> {
  const target = targetAt(log);
  const verdicts: Verdict[] = [];
  if (target.kind === 'frames') verdicts.push(await verifyFrames(target, options, context));
  else {
    const logs = options.core === undefined ? logsOf(target, 'verify') : [logOf(target, options.core, 'verify')];
    for (const each of logs) verdicts.push(await verifyLog(each, options, context));
  }
  for (const verdict of verdicts) {
    const { failure } = verdict;
    if (failure !== undefined && !WalError.is(failure)) throw failure;
    if (WalError.is(failure, 'WAL_ABORTED')) throw failure;
    if (failure !== undefined) context.exitCode = Math.max(context.exitCode, exitCodeOf(failure));
    if (options.json) await context.out.json(verdictJson(verdict));
    else for (const line of verdictLines(verdict, context)) await context.out.line(line);
  }
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
    const report = await SegmentedWal.recover({ ...config, recoveryMode: 'readonly', onProgress });
    const seconds = progress.seconds;
    if (options.decode) await decodeAll(target, options, progress, context);
    return { path, ok: true, bytes, seconds, report };
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
  const all = replayDirectory(directory, {
    ...decoding,
    copy: false,
    onHole: 'skip',
    signal,
    onProgress: progress.show,
  });
  for await (const record of all) void record.payload;
}

async function verifyFrames({ path }: FramesTarget, options: FramesOptions, context: Context): Promise<Verdict> {
  const progress = new Progress(context.err);
  let frames = 0;
  let bytes = 0;
  try {
    for await (const { data, position } of readFrames(path, { ...framesOf(options), copy: false })) {
      context.signal.throwIfAborted();
      frames++;
      bytes = position + data.length;
    }
    return { path, ok: true, bytes, seconds: progress.seconds, frames };
  } catch (failure) {
    return { path, ok: false, bytes, seconds: progress.seconds, frames, failure };
  }
}

function verdictJson({ failure, report, seconds, bytes, ...rest }: Verdict): Record<string, unknown> {
  return {
    ...rest,
    bytes,
    seconds: Number(seconds.toFixed(3)),
    bytesPerSecond: Math.round(bytes / Math.max(seconds, 1e-3)),
    ...(report === undefined ? {} : { report }),
    ...(WalError.is(failure) ? { error: errorJson(failure) } : {}),
  };
}

function verdictLines(verdict: Verdict, { paint }: Context): string[] {
  const { path, ok, bytes, seconds, report, frames, failure } = verdict;
  const speed = `${bytesText(bytes)} in ${seconds.toFixed(2)} s, ${rateText(bytes, seconds)}`;
  if (!ok) {
    const error = failure as WalError;
    const what = exitCodeOf(error) === ExitCode.damaged ? 'damaged' : 'not verified';
    return [`${path}: ${paint('red', what)}`, `  ${error.code}: ${error.message}`, `  walstack explain ${path}`];
  }
  const lines = [`${path}: ${paint('green', 'sound')}, ${speed}`];
  if (frames !== undefined) return [...lines, `  ${countText(frames, 'frame')}`];
  const { records, firstLsn, lastLsn, segments, cutBytes, holes } = report as RecoveryReport;
  lines.push(`  ${countText(records, 'record')}, LSN ${firstLsn} to ${lastLsn}, in ${countText(segments, 'segment')}`);
  if (cutBytes > 0) {
    lines.push(
      `  ${countText(cutBytes, 'byte')} behind them are a torn tail, or a group that is being written: nothing acknowledged`,
    );
  }
  for (const hole of holes)
    lines.push(`  lost since a salvage: LSN ${hole.firstLsn} to ${hole.lastLsn}, ${hole.reason}`);
  return lines;
}
