import type { SegmentedWal, SegmentMeta } from '@walstack/segmented';

/** A log before retention is applied. */
export interface BeforeRetention {
  readonly segments: readonly SegmentMeta[];
  readonly lastLsn: number;
  readonly isDurable: boolean;
}

export const beforeRetention = (wal: SegmentedWal): BeforeRetention => ({
  segments: wal.listSegments(),
  lastLsn: wal.lastLsn,
  isDurable: wal.durableLsn === wal.lastLsn,
});

/**
 * Retention drops a segment only while the log with it is larger than `retainBytes`, and every one that nothing needs then.
 *
 * @throws an error that names the segment
 */
export function checkRetained(
  { segments, lastLsn, isDurable }: BeforeRetention,
  wal: SegmentedWal,
  retainBytes: number,
): void {
  const kept = wal.listSegments();
  const paths = new Set(kept.map(({ path }) => path));
  const bytes = kept.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  // Of the newest one, which may have grown since, the size is not known.
  const dropped = segments.findLast(({ path }) => !paths.has(path));
  if (dropped !== undefined && dropped !== segments.at(-1) && bytes + dropped.sizeBytes <= retainBytes) {
    throw new Error(`retention has dropped ${dropped.path}, and ${retainBytes} bytes may stay: there are ${bytes}`);
  }
  // A segment that is added meanwhile is left to the next retention.
  if (!isDurable || wal.lastLsn !== lastLsn || bytes <= retainBytes) return;
  const [first, second] = kept;
  const needed = Math.min(wal.checkpointLsn + 1, ...Object.values(wal.holds));
  if (first === undefined || second === undefined || second.firstLsn > needed) return;
  throw new Error(
    `retention has left ${first.path}, which nothing needs: there are ${bytes} bytes, and ${retainBytes} may stay`,
  );
}
