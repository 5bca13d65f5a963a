import { WalError } from '@walstack/codec';
import { type RecoveryMode, type RecoveryReport, SegmentedWal } from '@walstack/segmented';
import type { Context } from '../context.js';
import { errorJson } from '../output/error-json.js';
import { Progress } from '../output/progress.js';
import { countText } from '../output/units.js';
import { configOf } from './open-log.js';
import type { KeyOptions } from './options.js';
import { withOverlay } from './overlay.js';
import type { LogTarget } from './target.js';

/** The modes that a log is recovered in, from the one that gives up the least. */
export const RECOVERY_MODES: readonly RecoveryMode[] = ['strict', 'salvage', 'skip-corrupt'];

/** What opening a log in a recovery mode would do. */
export interface Prognosis {
  readonly mode: RecoveryMode;
  /** The report; `undefined` when the mode refuses the log. */
  readonly report?: RecoveryReport;
  /** Why it refuses the log. */
  readonly refusal?: WalError;
}

/** How a recovery is chosen besides its mode. */
export interface RecoveryChoice extends KeyOptions {
  readonly salvageLsn?: readonly number[];
}

/** Recovers a log in a mode, with all changes in memory: the files stay as they are. */
export async function prognosisOf(
  target: LogTarget,
  mode: RecoveryMode,
  options: RecoveryChoice,
  context: Context,
): Promise<Prognosis> {
  const progress = new Progress(context.err);
  const config = await configOf(target, options, context);
  try {
    const report = await withOverlay((io) =>
      SegmentedWal.recover({
        ...config,
        io,
        recoveryMode: mode,
        ...(options.salvageLsn === undefined ? {} : { salvageLsn: options.salvageLsn }),
        onProgress: progress.show,
      }),
    );
    return { mode, report };
  } catch (error) {
    if (!WalError.is(error) || error.code === 'WAL_ABORTED') throw error;
    return { mode, refusal: error };
  } finally {
    progress.clear();
  }
}

/**
 * What a prognosis says, in one line.
 *
 * @param known - an error that is shown already: of a refusal that begins with the same message, only the rest is
 */
export function prognosisText({ report, refusal }: Prognosis, known?: WalError): string {
  return report === undefined ? refusalText(refusal as WalError, known) : reportText(report);
}

/** Why a mode refuses a log, in one line. */
export function refusalText({ code, reason, message }: WalError, known?: WalError): string {
  if (known !== undefined && message.startsWith(known.message)) {
    return `refuses it${message.slice(known.message.length).replace(/^;/, ':')}`;
  }
  return `refuses it: ${code}${reason === undefined ? '' : `, ${reason}`}: ${message}`;
}

/** What a recovery keeps, cuts and loses, in one line. */
export function reportText({ records, firstLsn, lastLsn, cutBytes, salvage, holes }: RecoveryReport): string {
  const kept =
    records === 0 ? 'keeps no record' : `keeps ${countText(records, 'record')}, LSN ${firstLsn} to ${lastLsn}`;
  const lost = (salvage?.lost ?? []).map(({ fromLsn, toLsn }) => `LSN ${fromLsn} to ${toLsn}`);
  const withHoles = holes.length === 0 ? '' : `; ${countText(holes.length, 'hole')}`;
  return `${kept}${cutText(cutBytes)}${lostText(lost)}${withHoles}${asideText(salvage?.quarantined.length)}`;
}

/** What a recovery cuts off at the end. */
export const cutText = (bytes: number): string =>
  bytes === 0 ? '' : `; cuts ${countText(bytes, 'byte')}, none of which was acknowledged`;

/** The ranges that a recovery gives up. */
export const lostText = (lost: readonly string[]): string => (lost.length === 0 ? '' : `; loses ${lost.join(', ')}`);

const asideText = (files: number | undefined): string =>
  files === undefined || files === 0 ? '' : `; moves ${countText(files, 'file')} to quarantine/`;

/** A report whose damage is an error with its facts. */
export const reportJson = ({ salvage, ...report }: RecoveryReport): unknown => ({
  ...report,
  ...(salvage === undefined ? {} : { salvage: { ...salvage, damage: errorJson(salvage.damage) } }),
});
