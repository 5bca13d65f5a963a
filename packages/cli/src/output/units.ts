const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** A number of bytes in the largest unit that fits. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** A number with separators. */
export const numberText = (value: number): string => value.toLocaleString('en-US');

/** A duration in its largest unit. */
export function ageText(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 1) return `${Math.round(ms)} ms`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** A time, in UTC. */
export const timeText = (ms: number): string => new Date(ms).toISOString();

/** `n` of something, with its plural. */
export const countText = (count: number, one: string, more = `${one}s`): string =>
  `${numberText(count)} ${count === 1 ? one : more}`;

/** The LSNs of a log or a part of one; of an empty one that of its next record. */
export const lsnText = (firstLsn: number, lastLsn: number): string =>
  lastLsn < firstLsn ? `LSN ${firstLsn} is next` : `LSN ${firstLsn} to ${lastLsn}`;
