import { WalError } from '@walstack/codec';
import { PerCoreRecovery } from '@walstack/percore';
import { type RecoveryMode, SegmentedWal } from '@walstack/segmented';
import { PortableWalWriter, type StorageIo } from '@walstack/storage-io';
import type { Context } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { configOf } from '../log/open-log.js';
import { decodingOf, type FramesOptions, framesOf, type KeyOptions } from '../log/options.js';
import type { CoresTarget, FramesTarget, LogTarget, Target } from '../log/target.js';
import { errorJson } from '../output/error-json.js';
import { Progress } from '../output/progress.js';
import { countText } from '../output/units.js';
import { withOverlay } from './overlay.js';
import { cutText, lostText, RECOVERY_MODES, reportJson, reportText, UNREADABLE } from './recovery-text.js';

/** An LSN where a salvage needs one: of a per-core log with its core. */
export interface SalvageLsn {
  readonly core?: number;
  readonly lsn: number;
}

/** How a log is recovered, besides the mode. */
export interface RecoveryOptions extends KeyOptions, FramesOptions {
  readonly salvageLsn?: readonly SalvageLsn[];
}

/** What a recovery has found and done. */
export interface Recovered {
  /** What it keeps, cuts and loses, in one line. */
  readonly text: string;
  readonly report: unknown;
  /** Whether it cuts off or gives up anything. */
  readonly changes: boolean;
  /** The directories with what was taken out of the log. */
  readonly quarantine: readonly string[];
}

/** The recovery modes that there are for a kind of log. */
export const modesOf = ({ kind }: Target): readonly RecoveryMode[] =>
  kind === 'frames' ? ['strict'] : kind === 'cores' ? ['strict', 'salvage'] : RECOVERY_MODES;

/**
 * Recovers what a path leads to.
 *
 * @param io - the backend that it is changed through; `undefined`: the usual one
 * @throws what opening it in this mode throws
 */
export async function recoverTarget(
  target: Target,
  mode: RecoveryMode,
  options: RecoveryOptions,
  context: Context,
  io?: StorageIo,
): Promise<Recovered> {
  const progress = new Progress(context.err);
  const job: Job = { mode, options, context, io: io === undefined ? {} : { io }, onProgress: progress.show };
  try {
    if (target.kind === 'frames') return await recoverFrames(target, job);
    return await (target.kind === 'log' ? recoverLog(target, job) : recoverCores(target, job));
  } finally {
    progress.clear();
  }
}

interface Job {
  readonly mode: RecoveryMode;
  readonly options: RecoveryOptions;
  readonly context: Context;
  readonly io: { readonly io?: StorageIo };
  readonly onProgress: Progress['show'];
}

async function recoverLog(target: LogTarget, { mode, options, context, io, onProgress }: Job): Promise<Recovered> {
  const { salvageLsn = [] } = options;
  if (salvageLsn.some(({ core }) => core !== undefined)) {
    throw new UsageError(`${target.directory} is no per-core log: give --salvage-lsn without a core`);
  }
  const lsns = salvageLsn.map(({ lsn }) => lsn);
  // 'salvage' takes one LSN, and only 'skip-corrupt' a list.
  const salvage = lsns.length === 0 ? {} : { salvageLsn: mode === 'salvage' ? (lsns[0] as number) : lsns };
  const config = await configOf(target, options, context);
  const report = await SegmentedWal.recover({
    ...config,
    ...io,
    recoveryMode: mode,
    onProgress,
    ...(mode === 'strict' ? {} : salvage),
  });
  const { salvage: salvaged } = report;
  return {
    text: reportText(report),
    report: reportJson(report),
    changes: report.cutBytes > 0 || salvaged !== undefined,
    quarantine: salvaged === undefined ? [] : [salvaged.quarantine],
  };
}

async function recoverCores(target: CoresTarget, { mode, options, context, io, onProgress }: Job): Promise<Recovered> {
  const lsns = (options.salvageLsn ?? []).map(({ core, lsn }) => {
    if (core === undefined)
      throw new UsageError(`${target.directory} is a per-core log: give --salvage-lsn as CORE:LSN`);
    return [core, lsn] as const;
  });
  const recovery = await PerCoreRecovery.open({
    directory: target.directory,
    signal: context.signal,
    onProgress,
    recoveryMode: mode as 'strict' | 'salvage',
    ...(await decodingOf(options)),
    ...(lsns.length === 0 ? {} : { salvageLsn: Object.fromEntries(lsns) }),
    ...io,
  });
  const { salvage, statistics, completeEpoch } = recovery;
  await recovery.close();
  const entries = statistics.reduce((sum, core) => sum + core.entries, 0);
  const cut = statistics.reduce((sum, core) => sum + core.cutBytes, 0);
  const lost = (salvage?.lost ?? []).map(
    ({ coreId, fromLsn, toLsn }) => `LSN ${fromLsn} to ${toLsn} of core ${coreId}`,
  );
  const cores = countText(statistics.length, 'core');
  const damage = salvage?.damage.map(errorJson);
  return {
    text: `keeps ${countText(entries, 'entry', 'entries')} behind the checkpoint, of ${cores}${cutText(cut)}${lostText(lost)}`,
    report: { completeEpoch, statistics, ...(salvage === undefined ? {} : { salvage: { ...salvage, damage } }) },
    changes: cut > 0 || salvage !== undefined,
    quarantine: salvage?.quarantine ?? [],
  };
}

async function recoverFrames({ path }: FramesTarget, { options, io }: Job): Promise<Recovered> {
  const writer = await PortableWalWriter.open(path, { framed: true, create: false, ...framesOf(options), ...io });
  const { recovery } = writer;
  await writer.close();
  const { frames = 0, bytesCut = 0 } = recovery ?? {};
  return {
    text: `keeps ${countText(frames, 'frame')}${bytesCut === 0 ? '' : `; cuts ${countText(bytesCut, 'byte')}: ${UNREADABLE}`}`,
    report: recovery,
    changes: bytesCut > 0,
    quarantine: [],
  };
}

/**
 * How many bytes behind the last frame of a file opening it would cut. Changes nothing.
 *
 * @throws what opening it throws
 */
export async function bytesBehindFrames(target: FramesTarget, options: FramesOptions): Promise<number> {
  return await withOverlay(async (io) => {
    const settings = { framed: true, create: false, ...framesOf(options), io };
    const writer = await PortableWalWriter.open(target.path, settings);
    await writer.close();
    return writer.recovery?.bytesCut ?? 0;
  });
}

/** What recovering in a mode would do. */
export interface Attempt {
  readonly mode: RecoveryMode;
  /** `undefined` when the mode refuses the log. */
  readonly recovered?: Recovered;
  readonly refusal?: WalError;
}

/** Recovers in a mode with all changes in memory: the files stay as they are. */
export async function attemptOf(
  target: Target,
  mode: RecoveryMode,
  options: RecoveryOptions,
  context: Context,
): Promise<Attempt> {
  try {
    return { mode, recovered: await withOverlay((io) => recoverTarget(target, mode, options, context, io)) };
  } catch (refusal) {
    // That no more files may be open says nothing about the log.
    const { code, systemCode } = WalError.is(refusal) ? refusal : {};
    if (!WalError.is(refusal) || code === 'WAL_ABORTED' || systemCode === 'EMFILE' || systemCode === 'ENFILE')
      throw refusal;
    return { mode, refusal };
  }
}

export const attemptJson = ({ mode, recovered, refusal }: Attempt): unknown => ({
  mode,
  opens: refusal === undefined,
  ...(recovered === undefined ? {} : { report: recovered.report }),
  ...(refusal === undefined ? {} : { error: errorJson(refusal) }),
});
