import type { Row } from './rows.js';

/** Contestants that do nothing but the work itself: what the others are measured by, the first of these that took part. */
const YARDSTICKS = ['fs', 'native-loop', 'native-scan', 'fio'];

/** What a log in JavaScript could make at most: a second ratio, beside that to the yardstick. */
const BARE = ['ring-loop', 'ring-append'];

export const isYardstick = (subject: string): boolean => YARDSTICKS.includes(subject) || BARE.includes(subject);

/** The row of a case that the others are measured by. */
function yardstickOf(rows: readonly Row[]): Row | undefined {
  const found = YARDSTICKS.map((name) => rows.find(({ subject }) => subject === name));
  return found.find((row) => row !== undefined);
}

/** The rows that the others are measured by: the yardstick, and the bare ring where it took part. */
export function yardsticksOf(rows: readonly Row[]): Row[] {
  return [yardstickOf(rows), rows.find(({ subject }) => BARE.includes(subject))].filter((row) => row !== undefined);
}

/** How often the yardstick's value a value is, such as `2.15`; `undefined` where that says nothing. */
export function ratioTo(yardstick: Row | undefined, { value }: Row): string | undefined {
  if (yardstick === undefined || yardstick.value === 0) return undefined;
  return (value / yardstick.value).toFixed(2);
}
