import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseSegmentFileName, WalError } from '@walstack/codec';
import type { RecoveryReport } from '@walstack/segmented';
import type { Command } from 'commander';
import type { Context } from '../context.js';
import { exitCodeOf, worseExitCode } from '../exit-codes.js';
import { type FrameView, markName, readSegment, type Surroundings, surroundings } from '../log/frame-walk.js';
import { isOpened, type LogEnd, logEndText, withLogEnd } from '../log/locks.js';
import { withReadonly } from '../log/open-log.js';
import { type FramesOptions, type ReadLogOptions, withFramesOptions, withLogOptions } from '../log/options.js';
import {
  type CoresTarget,
  checkCore,
  type FramesTarget,
  type LogTarget,
  logOf,
  logsOf,
  type Target,
  targetAt,
} from '../log/target.js';
import { errorJson } from '../output/error-json.js';
import { countText, lsnText } from '../output/units.js';
import { reasonText } from '../recovery/reasons.js';
import { type Attempt, attemptJson, attemptOf, modesOf } from '../recovery/recovery.js';
import { refusalText, reportJson } from '../recovery/recovery-text.js';

/** Adds `walstack explain`. */
export function explainCommand(program: Command, context: Context): void {
  withFramesOptions(withLogOptions(program.command('explain')))
    .summary('why a log is refused, or what opening it would cut')
    .description(
      'Explains why a log is refused, or what opening it would cut off: the frames around the place, the proof, and what each recovery mode would keep. Changes nothing.',
    )
    .argument('<log>', 'a directory with a log or a per-core log, or a file of frames')
    .addHelpText('after', EXAMPLES)
    .action((log: string, options: ReadLogOptions & FramesOptions) => explain(log, options, context));
}

const EXAMPLES = `
Examples:
  walstack explain data/events
  walstack explain data/events --key-file keys.json --json`;

/** What is found out about one log. */
interface Explanation {
  readonly path: string;
  /** What opening it finds; `undefined` when it is refused, and of what is no log of its own. */
  readonly report?: RecoveryReport;
  /** What the bytes are that opening it would cut. */
  readonly end?: LogEnd;
  /** What opening it would do, where that is known by trying alone. */
  readonly opening?: Attempt;
  readonly refusal?: WalError;
  /** The segment in which the place is, and what is around it. */
  readonly place?: Surroundings & { readonly path: string };
  readonly modes: readonly Attempt[];
}

async function explain(log: string, options: ReadLogOptions & FramesOptions, context: Context): Promise<void> {
  let target: Target;
  try {
    target = targetAt(log);
  } catch (refusal) {
    if (!WalError.is(refusal)) throw refusal;
    await show({ path: refusal.path ?? log, refusal, modes: [] }, options, context);
    return;
  }
  checkCore(target, options.core);
  if (target.kind === 'frames') return await show(await explainWhole(target, options, context), options, context);
  const isWhole = options.core === undefined;
  const logs = isWhole ? logsOf(target, 'explain') : [logOf(target, options.core, 'explain')];
  for (const each of logs) await show(await explainLog(each, options, context), options, context);
  if (target.kind !== 'cores' || !isWhole) return;
  if (isOpened(target)) {
    context.err.write('it is open in another process: what its cores have in common is not examined\n');
    return;
  }
  // Only together the logs of the cores show what belongs to all of them.
  await show(await explainWhole(target, options, context), options, context);
}

async function explainLog(target: LogTarget, options: ReadLogOptions, context: Context): Promise<Explanation> {
  const path = target.directory;
  try {
    const { result, end } = await withLogEnd(target, () =>
      withReadonly(target, options, context, (wal) => ({
        report: wal.recovery,
        newest: wal.listSegments().at(-1)?.path,
      })),
    );
    const { report, newest } = result;
    // Reading finds no fault with a log that is refused for its key, or as the log of a core.
    const { refusal } = isOpened(target) ? {} : await attemptOf(target, 'strict', options, context);
    if (refusal !== undefined) return { path, report, refusal, modes: [] };
    const isWhole = report.cutBytes === 0 || newest === undefined;
    return { path, report, end, modes: [], ...(isWhole ? {} : placeIn(newest)) };
  } catch (refusal) {
    if (!WalError.is(refusal) || refusal.code === 'WAL_ABORTED') throw refusal;
    // Other refusals are no damage: salvage has nothing to do there.
    const isDamaged = refusal.code === 'WAL_CORRUPT';
    const modes = isDamaged ? await attempts(target, options, context) : [];
    return { path, refusal, modes, ...(isDamaged ? placeIn(segmentOf(refusal, path)) : {}) };
  }
}

/** The segment file that an error is about. */
function segmentOf({ path }: WalError, directory: string): string | undefined {
  const names = readdirSync(directory).filter((name) => parseSegmentFileName(name) !== undefined);
  return names.map((name) => join(directory, name)).find((each) => each === path);
}

function placeIn(path: string | undefined): Pick<Explanation, 'place'> {
  if (path === undefined) return {};
  try {
    return { place: { path, ...surroundings(readSegment(path)) } };
  } catch {
    // A header that cannot be read, or no file: there are no frames to show, and the error says so.
    return {};
  }
}

/** Explains what is opened as a whole: a per-core log, or a file of frames. */
async function explainWhole(
  target: CoresTarget | FramesTarget,
  options: ReadLogOptions & FramesOptions,
  context: Context,
): Promise<Explanation> {
  const path = target.kind === 'frames' ? target.path : target.directory;
  const opening = await attemptOf(target, 'strict', options, context);
  const { refusal } = opening;
  if (refusal === undefined) return { path, opening, modes: [] };
  const modes = refusal.code === 'WAL_CORRUPT' ? await attempts(target, options, context) : [];
  return { path, refusal, modes };
}

async function attempts(target: Target, options: ReadLogOptions & FramesOptions, context: Context): Promise<Attempt[]> {
  const made: Attempt[] = [];
  for (const mode of modesOf(target)) made.push(await attemptOf(target, mode, options, context));
  return made;
}

async function show(explanation: Explanation, { json }: ReadLogOptions, context: Context): Promise<void> {
  const { refusal } = explanation;
  if (refusal !== undefined) context.exitCode = worseExitCode(context.exitCode, exitCodeOf(refusal));
  if (json) return await context.out.json(explanationJson(explanation));
  for (const line of explanationLines(explanation, context)) await context.out.line(line);
}

const explanationJson = ({ path, report, end, opening, refusal, place, modes }: Explanation): unknown => ({
  path,
  opens: refusal === undefined,
  ...(report === undefined ? {} : { report: reportJson(report) }),
  ...(report === undefined || report.cutBytes === 0 ? {} : { end }),
  ...(opening?.recovered === undefined ? {} : { report: opening.recovered.report }),
  ...(refusal === undefined ? {} : { error: errorJson(refusal), explanation: reasonText(refusal) }),
  ...(place === undefined ? {} : { place }),
  modes: modes.map(attemptJson),
});

function explanationLines(explanation: Explanation, { paint }: Context): string[] {
  const { path, report, opening, refusal, place, modes } = explanation;
  const lines = [paint('bold', path)];
  if (refusal !== undefined) {
    const { code, reason, message } = refusal;
    lines.push(`  ${paint('red', 'refused')}: ${code}${reason === undefined ? '' : `, reason ${reason}`}`);
    lines.push(`  ${message}`, `  ${reasonText(refusal)}`.trimEnd());
  } else if (report === undefined) lines.push(`  opens: ${opening?.recovered?.text}`);
  else lines.push(...openLines(report, explanation.end).map((line) => `  ${line}`));
  if (place !== undefined) lines.push('', ...placeLines(place, refusal !== undefined).map((line) => `  ${line}`));
  if (modes.length > 0) lines.push('', '  what each recovery mode would do:');
  for (const { mode, recovered, refusal: why } of modes) {
    lines.push(`    ${mode.padEnd(12)}  ${recovered?.text ?? refusalText(why as WalError, refusal)}`);
  }
  return lines;
}

function openLines(
  { reason, records, firstLsn, lastLsn, cutBytes, holes }: RecoveryReport,
  end: LogEnd = 'torn-tail-or-being-written',
): string[] {
  const what = `${countText(records, 'record')}, ${lsnText(firstLsn, lastLsn)}`;
  const lost = holes.map((hole) => `LSN ${hole.firstLsn} to ${hole.lastLsn} are lost since a salvage: ${hole.reason}`);
  if (reason === 'clean') return [`opens: it was closed cleanly; ${what}`, ...lost];
  if (cutBytes === 0) {
    return [`opens: it was not closed, or is open in another process; nothing would be cut; ${what}`, ...lost];
  }
  const bytes = `${countText(cutBytes, 'byte')} behind them`;
  if (end === 'being-written') return [`opens: ${what}; ${bytes} are ${logEndText(end)}`, ...lost];
  return [
    `opens: ${what}; ${bytes} would be cut`,
    `They are ${logEndText(end)}: nothing proves that any of it had been acknowledged.`,
    ...lost,
  ];
}

function placeLines(place: Surroundings & { readonly path: string }, isRefused: boolean): string[] {
  const { path, before, end, nextLsn, bytesBehind, proof } = place;
  const lines = [`the frames around the place, in ${path}:`, ...before.map((frame) => `  ${frameText(frame)}`)];
  lines.push(
    `  offset ${end}: LSN ${nextLsn} would be next; no frame can be read here, and ${countText(bytesBehind, 'byte')} follow`,
  );
  if (proof !== undefined)
    lines.push(
      `  ${frameText(proof)}`,
      `  the last of these proves a loss: LSN ${proof.provenLsn} was durable when it was written`,
    );
  else if (isRefused)
    lines.push('  no frame behind it in this segment proves more: the proof is what the message names');
  else lines.push('  no frame behind it proves that anything from there on was durable');
  return lines;
}

function frameText({ offset, bytes, kind, lsn, type, provenLsn }: FrameView): string {
  const what = kind === 'mark' ? `mark (${markName(type)}) before LSN ${lsn}` : `${kind} LSN ${lsn}`;
  const proves = provenLsn === 0 ? 'proves nothing' : `proves LSN ${provenLsn} durable`;
  return `offset ${offset}: ${what}, ${countText(bytes, 'byte')}, ${proves}`;
}
