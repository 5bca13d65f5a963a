import { shownInLine } from './output.js';

/** A column: its head, and whether it is aligned to the right, as numbers are. */
export type Column = readonly [head: string, side?: 'right'];

/** Rows as lines with aligned columns, the heads first. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const all = [columns.map(([head]) => head), ...rows].map((row) => row.map(shownInLine));
  const widths = columns.map((_column, index) => widestOf(all.map((row) => row[index] ?? '')));
  return all.map((row) =>
    columns
      .map(([, side], index) => {
        const cell = row[index] ?? '';
        const width = widths[index] as number;
        return side === 'right' ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
}

/** Names and values, a line each, the values aligned. */
export function fieldLines(fields: readonly (readonly [name: string, value: string])[]): string[] {
  const width = widestOf(fields.map(([name]) => name));
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${shownInLine(value)}`);
}

/** The length of the longest text: of any number of them, more than a call has arguments. */
const widestOf = (texts: readonly string[]): number => texts.reduce((width, { length }) => Math.max(width, length), 0);
