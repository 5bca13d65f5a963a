import { isHole, type Lsn, type RecordHeader, WalError } from '@walstack/codec';
import { checkOneOf, HoleReason } from '@walstack/codec/internal';

/**
 * Why records are lost: their bytes cannot be read (`'unreadable'`), the header of their segment cannot be read (`'header'`), the
 * file of their segment is missing (`'missing-segment'`), or nothing is left of them but a checkpoint, a hold or a name, which show
 * that they were there (`'end'`).
 */
export type HoleCause = 'unreadable' | 'header' | 'missing-segment' | 'end';

/** Records that are lost in a log that was salvaged around them (`recoveryMode: 'skip-corrupt'`). */
export interface Hole {
  /** The first LSN that is lost. */
  readonly firstLsn: Lsn;
  /** The last LSN that is lost; the next record has the LSN behind it. */
  readonly lastLsn: Lsn;
  readonly reason: HoleCause;
}

const CAUSES = new Map<number, HoleCause>([
  [HoleReason.header, 'header'],
  [HoleReason.missing, 'missing-segment'],
  [HoleReason.end, 'end'],
]);

/** The hole that a frame stands for; `undefined` for a mark, and for a hole of no records. */
export function holeOf(record: RecordHeader): Hole | undefined {
  if (!isHole(record) || record.type === 0) return undefined;
  const { lsn, type, elapsedMs } = record;
  return { firstLsn: lsn, lastLsn: lsn + type - 1, reason: CAUSES.get(elapsedMs) ?? 'unreadable' };
}

/** The LSN of the frame behind a mark or a hole. */
export function nextLsnBehind(record: RecordHeader): Lsn {
  return isHole(record) ? record.lsn + record.type : record.lsn;
}

/** A hole up to an LSN: what is behind it was cut off, and is not lost; `undefined` when all of it was. */
export function holeUpTo({ firstLsn, lastLsn, reason }: Hole, last: Lsn): Hole | undefined {
  return firstLsn > last ? undefined : { firstLsn, lastLsn: Math.min(lastLsn, last), reason };
}

/** What a reader does where records are lost. */
export type OnHole = 'throw' | 'skip';

const ON_HOLE: readonly OnHole[] = ['throw', 'skip'];

/** @throws `TypeError`, `RangeError` with Node's codes */
export const checkOnHole = (name: string, value: unknown): OnHole => checkOneOf(name, value, ON_HOLE);

/** A record that was to be read is lost, and the log was salvaged around it. */
export function inHole(path: string, offset: number, { firstLsn, lastLsn, reason }: Hole): WalError {
  const lost =
    firstLsn === lastLsn ? `the record with LSN ${firstLsn} is` : `the records ${firstLsn} to ${lastLsn} are`;
  const what = `${path}: ${lost} lost, and the log was salvaged around that: read on from LSN ${lastLsn + 1}, or with onHole: 'skip'`;
  return new WalError('WAL_HOLE', what, { path, offset, lsn: firstLsn, firstLsn, lastLsn, reason });
}
