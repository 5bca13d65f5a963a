import type { Checkpoint, Lsn } from '@walstack/codec';
import type { Segment } from '@walstack/mmap-reader/internal';
import type { Settings } from '../options.js';
import type { Segments } from '../segments/segment-list.js';

/** The options of retention. */
export type RetentionRules = Pick<Settings, 'retainBytes' | 'retainAgeMs' | 'retainUntilCheckpoint'>;

/** Whether the options let retention drop anything. */
export const dropsAnything = ({ retainBytes, retainAgeMs }: RetentionRules): boolean =>
  retainBytes !== undefined || retainAgeMs !== undefined;

/**
 * The number of the first segment that retention keeps. A segment is dropped when none of its records is needed, and
 * either the log with it is larger than `retainBytes` or its last record is older than `retainAgeMs`. Segments are dropped
 * only from the beginning of the log, and never the newest one.
 *
 * @param segments - from the oldest to the newest; at least one
 */
export function firstRetained(
  segments: Segments,
  checkpoint: Checkpoint,
  rules: RetentionRules,
  nowMs: number,
): number {
  const needed = firstNeeded(checkpoint, rules);
  let { bytes } = segments;
  for (let index = 0; ; index++) {
    const segment = segments.at(index) as Segment;
    const successor = segments.at(index + 1);
    if (successor === undefined || segment.nextLsn > needed) return segment.header.number;
    const tooMuch = bytes > (rules.retainBytes ?? Number.POSITIVE_INFINITY);
    // Its last record was appended before its successor was created.
    const tooOld = nowMs - successor.header.createdAtMs > (rules.retainAgeMs ?? Number.POSITIVE_INFINITY);
    if (!tooMuch && !tooOld) return segment.header.number;
    bytes -= segment.end;
  }
}

/** The first LSN that is still needed, by a hold or behind the checkpoint. */
function firstNeeded({ checkpointLsn, holds }: Checkpoint, { retainUntilCheckpoint }: RetentionRules): Lsn {
  const behindCheckpoint = retainUntilCheckpoint ? checkpointLsn + 1 : Number.POSITIVE_INFINITY;
  return Math.min(behindCheckpoint, ...Object.values(holds));
}
