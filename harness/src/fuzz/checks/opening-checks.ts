import assert from 'node:assert/strict';
import { parseSegmentFileName } from '@walstack/codec';
import type { SegmentedWal } from '@walstack/segmented';
import { headerOf, historyOf } from '../logs/histories.js';
import { type Entry, sameEntry, sameTree, type Tree } from '../logs/trees.js';
import type { DamagedDirectory, Opening } from './damaged-directory.js';
import { noteIn } from './salvage-rule.js';

/** Logs whose segments are mixed in, and what they hold. */
export const STRANGERS: readonly number[] = [9001, 9002, 9004];

/** A salvage that refuses has changed nothing; one that goes on with what another has begun may have gone some way. */
export function checkRefusal({ tree }: DamagedDirectory, { tree: left, error }: Opening): void {
  if (noteIn(tree) === undefined) {
    assert.ok(sameTree(left, tree), `salvage that refuses changed something: ${error?.message}`);
  } else {
    assert.ok(noteIn(left) !== undefined, `salvage that refuses has forgotten what it gave up: ${error?.message}`);
    checkNothingRemoved(tree, left);
  }
}

/** Whether salvage has made a segment, and nothing was appended to it: what it goes on with takes its place. */
const isOfAnAttempt = (entry: Entry | undefined): boolean =>
  entry instanceof Uint8Array && headerOf(entry)?.salvaged === true && entry.length <= 512;

/** Every file that has the name of a segment is where it was, or in quarantine. */
export function checkNothingRemoved(tree: Tree, left: Tree): void {
  const isBegun = noteIn(tree) !== undefined;
  for (const [path, entry] of tree) {
    if (parseSegmentFileName(path) === undefined) continue;
    if (isBegun && isOfAnAttempt(entry)) continue;
    const isLeft = [...left].some(([other, there]) => other.includes(path) && sameEntry(there, entry));
    assert.ok(isLeft, `salvage removed or changed ${path}`);
  }
}

/** How many salvages have ended. */
export const reportsIn = (tree: Tree): number =>
  [...tree.keys()].filter((path) => /^quarantine.*\/salvage(\.\d+)?$/.test(path)).length;

/** Every record was appended with its LSN, and none is missing between the first and the last, but in a hole. */
export function checkContents({ history }: DamagedDirectory, { wal, records, lsns }: Opening): void {
  const { firstLsn, nextLsn, recovery } = wal as SegmentedWal;
  const holes = recovery.holes.flatMap(({ firstLsn: first, lastLsn: last }) =>
    Array.from({ length: last - first + 1 }, (_, index) => first + index),
  );
  assert.deepEqual(
    [...lsns, ...holes].sort((a, b) => a - b),
    Array.from({ length: nextLsn - firstLsn }, (_, index) => firstLsn + index),
    'a record is missing, and in no hole',
  );
  const others = STRANGERS.map((number) => historyOf(number).ever);
  for (const [index, text] of records.entries()) {
    const lsn = lsns[index] as number;
    assert.ok(
      history.ever.get(lsn)?.has(text) || others.some((ever) => ever.get(lsn)?.has(text)),
      `LSN ${lsn} never was ${text}`,
    );
  }
}
