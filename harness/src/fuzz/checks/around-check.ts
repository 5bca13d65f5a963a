import assert from 'node:assert/strict';
import type { SegmentedWal } from '@walstack/segmented';
import { treeOn } from '../logs/trees.js';
import { type DamagedDirectory, type Opening, open } from './damaged-directory.js';
import { checkFull, checkKills } from './interrupted-openings.js';
import { checkContents, checkNothingRemoved, checkRefusal } from './opening-checks.js';
import { noteIn } from './salvage-rule.js';

/**
 * Opens a damaged directory around its damage: without damage it is what strict opens; with it every LSN is that of a record that
 * was appended, or in a hole; nothing is kept that a salvage of the beginning would not keep as well, as far as that goes; no
 * segment is removed; strict opens what it has left; and it can be killed behind every change, or find the disk full.
 */
export function checkAround(input: DamagedDirectory): void {
  const strict = open(input, input.tree, { recoveryMode: 'strict' });
  const config = { recoveryMode: 'skip-corrupt', salvageLsn: input.salvageLsn } as const;
  const asked = open(input, input.tree, { recoveryMode: 'skip-corrupt' });
  const around = asked.error === undefined ? asked : open(input, asked.tree, config);
  if (asked.error !== undefined) checkRefusal(input, asked);
  if (strict.wal !== undefined) {
    assert.deepEqual([around.lsns, around.records, around.range], [strict.lsns, strict.records, strict.range]);
    return;
  }
  if (around.wal === undefined) {
    checkRefusal(input, around);
    return;
  }
  checkContents(input, around);
  checkNothingRemoved(input.tree, around.tree);
  checkNothingLess(input, around);
  checkGoesOn(input, around, around.wal);
  checkKills(input, around, config);
  checkFull(input, around, config);
}

/** What a salvage keeps that gives up everything behind the first damage is kept as well. */
function checkNothingLess(input: DamagedDirectory, around: Opening): void {
  if (noteIn(input.tree) !== undefined) return;
  const salvage = open(input, input.tree, { recoveryMode: 'salvage' });
  if (salvage.wal === undefined) return;
  const kept = new Map(around.lsns.map((lsn, index) => [lsn, around.records[index]]));
  for (const [index, lsn] of salvage.lsns.entries()) {
    assert.equal(kept.get(lsn), salvage.records[index], `LSN ${lsn} is kept by a salvage, and lost around damage`);
  }
}

/** The log takes a record, and strict opens it with the same holes. */
function checkGoesOn(input: DamagedDirectory, around: Opening, wal: SegmentedWal): void {
  const { io, nextLsn, firstLsn, recovery } = wal;
  assert.ok(recovery.salvage !== undefined, 'salvage does not say what it did');
  assert.equal(wal.append('on'), nextLsn);
  wal.closeSync();
  const again = open(input, treeOn(io), { recoveryMode: 'strict' });
  assert.equal(again.error, undefined, `strict refuses what salvage around damage has left: ${again.error?.message}`);
  assert.equal(again.wal?.recovery.reason, 'clean');
  assert.deepEqual(
    [again.lsns, again.records],
    [
      [...around.lsns, nextLsn],
      [...around.records, 'on'],
    ],
  );
  assert.deepEqual([again.wal?.firstLsn, again.wal?.nextLsn], [firstLsn, nextLsn + 1]);
  assert.deepEqual(again.wal?.recovery.holes, recovery.holes);
}
