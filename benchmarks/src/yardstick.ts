import type { Row } from './rows.js';

/** Contestants that do nothing but the work itself: what the others are measured by, the first of these that took part. */
const YARDSTICKS = ['fs', 'native-loop', 'native-scan', 'fio'];

export const isYardstick = (subject: string): boolean => YARDSTICKS.includes(subject);

/** The row of a case that the others are measured by. */
export function yardstickOf(rows: readonly Row[]): Row | undefined {
  const found = YARDSTICKS.map((name) => rows.find(({ subject }) => subject === name));
  return found.find((row) => row !== undefined);
}

/** How often the yardstick's value a value is, such as `2.15`; `undefined` where that says nothing. */
export function ratioTo(yardstick: Row | undefined, { value }: Row): string | undefined {
  if (yardstick === undefined || yardstick.value === 0) return undefined;
  return (value / yardstick.value).toFixed(2);
}
