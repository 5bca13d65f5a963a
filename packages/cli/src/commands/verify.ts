import { WalError } from '@walstack/codec';
import type { RecoveryReport } from '@walstack/segmented';
import type { Command } from 'commander';
import type { Context } from '../context.js';
import { ExitCode, exitCodeOf, worseExitCode } from '../exit-codes.js';
import { isOpened, logEndText } from '../log/locks.js';
import { type ReadLogOptions, withFramesOptions, withLogOptions } from '../log/options.js';
import { checkCore, logOf, logsOf, targetAt } from '../log/target.js';
import { errorJson } from '../output/error-json.js';
import { rateText } from '../output/progress.js';
import { bytesText, countText, lsnText } from '../output/units.js';
import { UNREADABLE } from '../recovery/recovery-text.js';
import { type Verdict, type VerifyOptions, verifyAll, verifyTogether } from '../recovery/verification.js';

type VerifyLogOptions = ReadLogOptions & VerifyOptions;

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
    .action((log: string, options: VerifyLogOptions) => verify(log, options, context));
}

const EXAMPLES = `
Examples:
  walstack verify data/events
  walstack verify data/events --decode --key-file keys.json
  walstack verify backups/events --json || echo damaged`;

async function verify(log: string, options: VerifyLogOptions, context: Context): Promise<void> {
  const target = targetAt(log);
  checkCore(target, options.core);
  const isWhole = options.core === undefined && target.kind !== 'frames';
  const targets =
    target.kind === 'frames' ? [target] : isWhole ? logsOf(target, 'verify') : [logOf(target, options.core, 'verify')];
  const verdicts = await verifyAll(targets, options, context);
  const isSound = verdicts.every(({ ok }) => ok);
  if (target.kind === 'cores' && isWhole && isSound && !isOpened(target)) {
    const together = await verifyTogether(target, options, context);
    if (together !== undefined) verdicts.push(together);
  }
  for (const verdict of verdicts) {
    const { failure } = verdict;
    if (failure !== undefined) context.exitCode = worseExitCode(context.exitCode, exitCodeOf(failure));
    if (options.json) await context.out.json(verdictJson(verdict));
    else for (const line of verdictLines(verdict, context)) await context.out.line(line);
  }
}

function verdictJson({ failure, report, recovered, seconds, bytes, ...rest }: Verdict): Record<string, unknown> {
  return {
    ...rest,
    bytes,
    seconds: Number(seconds.toFixed(3)),
    bytesPerSecond: Math.round(bytes / Math.max(seconds, 1e-3)),
    ...(report === undefined ? {} : { report }),
    ...(recovered === undefined ? {} : { report: recovered.report }),
    ...(WalError.is(failure) ? { error: errorJson(failure) } : {}),
  };
}

function verdictLines(verdict: Verdict, { paint }: Context): string[] {
  const { path, ok, bytes, seconds, report, end, frames, bytesBehind = 0, recovered, failure } = verdict;
  const speed = `${bytesText(bytes)} in ${seconds.toFixed(2)} s, ${rateText(bytes, seconds)}`;
  if (!ok) {
    const error = failure as WalError;
    const what = exitCodeOf(error) === ExitCode.damaged ? 'damaged' : 'not verified';
    return [`${path}: ${paint('red', what)}`, `  ${error.code}: ${error.message}`, `  walstack explain ${path}`];
  }
  if (recovered !== undefined)
    return [`${path}: ${paint('green', 'sound')}, the cores belong together`, `  ${recovered.text}`];
  const lines = [`${path}: ${paint('green', 'sound')}, ${speed}`];
  if (frames !== undefined) {
    lines.push(`  ${countText(frames, 'frame')}`);
    if (bytesBehind > 0) lines.push(`  ${countText(bytesBehind, 'byte')} behind them cannot be read: ${UNREADABLE}`);
    return lines;
  }
  const { records, firstLsn, lastLsn, segments, cutBytes, holes } = report as RecoveryReport;
  lines.push(`  ${countText(records, 'record')}, ${lsnText(firstLsn, lastLsn)}, in ${countText(segments, 'segment')}`);
  if (end !== undefined) {
    lines.push(`  ${countText(cutBytes, 'byte')} behind them are ${logEndText(end)}: nothing acknowledged`);
  }
  for (const hole of holes)
    lines.push(`  lost since a salvage: LSN ${hole.firstLsn} to ${hole.lastLsn}, ${hole.reason}`);
  return lines;
}
