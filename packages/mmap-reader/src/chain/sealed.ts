import { readdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { parseSegmentFileName } from '@walstack/codec';

/**
 * Whether a segment is no longer written to: a segment with a higher number proves it complete. A file with another
 * kind of name, or without such a successor, may be written to or cut.
 */
export function isSealed(path: string): boolean {
  const own = parseSegmentFileName(basename(path));
  if (own === undefined) return false;
  return readdirSync(dirname(path)).some((name) => (parseSegmentFileName(name)?.number ?? 0) > own.number);
}
