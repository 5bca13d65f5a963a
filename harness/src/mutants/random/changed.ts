import type * as Fs from 'node:fs';
import { createRequire } from 'node:module';
import process from 'node:process';

// Part of the sources that are tried: tests put something else in the place of modules that are imported, not of these.
const { openSync, writeSync } = createRequire(import.meta.url)('node:fs') as typeof Fs;
const write = writeSync;

/** The number of the change that is tried; none while it is only seen which ones are reached. */
const chosen = Number(process.env['WALSTACK_CHANGE'] ?? Number.NaN);

/** The file with the numbers of the changes that were reached, where that is to be seen. */
const reached = process.env['WALSTACK_REACHED'];
const fd = reached === undefined ? undefined : openSync(reached, 'a');
const seen = new Set<number>();

function reach(number: number): void {
  if (fd === undefined || seen.has(number)) return;
  seen.add(number);
  // At once: whatever ends the process or the thread.
  write(fd, `${number}\n`);
}

/** Stands in the sources wherever there is a change. @returns whether it is the one that is tried */
export function changed(number: number): boolean {
  reach(number);
  return number === chosen;
}

/** The same where {@link unlike} looks whether the change makes a difference. */
export const isMade = (number: number): boolean => number === chosen;

/**
 * Stands around an expression: the change of it is reached where it makes a difference.
 *
 * @param other - what it would be with the change
 * @returns the value
 */
export function unlike<T>(number: number, value: T, other: () => unknown): T {
  if (fd !== undefined && !seen.has(number) && differs(value, other)) reach(number);
  return value;
}

function differs(value: unknown, other: () => unknown): boolean {
  try {
    const result = other();
    return typeof result === 'boolean' ? result !== Boolean(value) : !Object.is(result, value);
  } catch {
    return true;
  }
}
