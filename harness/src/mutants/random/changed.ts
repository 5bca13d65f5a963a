import { openSync, writeSync } from 'node:fs';
import process from 'node:process';

// Part of the sources that are tried: tests may put something else in the place of what they import.
const write = writeSync;

/** The number of the change that is tried; none while it is only seen which ones are reached. */
const chosen = Number(process.env['WALSTACK_CHANGE'] ?? Number.NaN);

/** The file with the numbers of the changes that were reached, where that is to be seen. */
const reached = process.env['WALSTACK_REACHED'];
const fd = reached === undefined ? undefined : openSync(reached, 'a');
const seen = new Set<number>();

/** Stands in the sources wherever there is a change. @returns whether it is the one that is tried */
export function changed(number: number): boolean {
  if (fd !== undefined && !seen.has(number)) {
    seen.add(number);
    // At once: whatever ends the process or the thread.
    write(fd, `${number}\n`);
  }
  return number === chosen;
}
