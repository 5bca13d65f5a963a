import { decodeSegmentHeader } from '@walstack/codec';
import { EventfulMaking } from './eventful-making.js';
import { type History, Making } from './making.js';

/** Histories with a number below this are as simple as they always were: the corpus names them. */
const SIMPLE = 240;

/** Histories that are drawn. */
export const HISTORIES = 480;

const MADE = new Map<number, History>();

/** The history with a number: always the same one. */
export function historyOf(number: number): History {
  const made = MADE.get(number) ?? makingOf(number).make();
  MADE.set(number, made);
  return made;
}

const makingOf = (number: number): Making =>
  number >= SIMPLE && number < HISTORIES ? new EventfulMaking(number) : new Making(number);

/** The header of a segment; `undefined` for what is none. */
export function headerOf(bytes: Uint8Array) {
  try {
    return decodeSegmentHeader(bytes, 'a file');
  } catch {
    return undefined;
  }
}
