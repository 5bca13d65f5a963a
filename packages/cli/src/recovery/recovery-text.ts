import type { WalError } from '@walstack/codec';
import type { RecoveryMode, RecoveryReport } from '@walstack/segmented';
import { errorJson } from '../output/error-json.js';
import { countText } from '../output/units.js';

/** The modes that a log is recovered in, from the one that gives up the least. */
export const RECOVERY_MODES: readonly RecoveryMode[] = ['strict', 'salvage', 'skip-corrupt'];

/**
 * Why a mode refuses a log, in one line.
 *
 * @param known - an error that is shown already: of a refusal that begins with the same message, only the rest is
 */
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

/** What bytes behind the last frame of a file are: nothing in it proves which of these. */
export const UNREADABLE = 'a torn tail, what another process is writing, or damage in what was durable';

/** The ranges that a recovery gives up. */
export const lostText = (lost: readonly string[]): string => (lost.length === 0 ? '' : `; loses ${lost.join(', ')}`);

const asideText = (files: number | undefined): string =>
  files === undefined || files === 0 ? '' : `; moves ${countText(files, 'file')} to quarantine/`;

/** A report whose damage is an error with its facts. */
export const reportJson = ({ salvage, ...report }: RecoveryReport): unknown => ({
  ...report,
  ...(salvage === undefined ? {} : { salvage: { ...salvage, damage: errorJson(salvage.damage) } }),
});
