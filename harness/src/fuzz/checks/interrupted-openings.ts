import assert from 'node:assert/strict';
import type { SegmentedWalConfig } from '@walstack/segmented';
import { Random } from '../../random.js';
import { sameTree, type Tree } from '../logs/trees.js';
import { type DamagedDirectory, type Opening, open } from './damaged-directory.js';
import { checkNothingRemoved, reportsIn } from './opening-checks.js';
import { noteIn } from './salvage-rule.js';

/** Kills an opening behind its changes, and opens again. */
export function checkKills(input: DamagedDirectory, whole: Opening, config: Partial<SegmentedWalConfig>): void {
  if (whole.wal === undefined) return;
  const random = typeof input.kills === 'number' ? new Random(input.kills) : undefined;
  for (let killed = 0; killed < whole.changes; killed++) {
    if (random !== undefined && !random.chance(2 / whole.changes)) continue;
    const left = open(input, input.tree, config, { killed });
    assert.equal(left.wal, undefined);
    checkAgain(input, left.tree, whole, config, `killed behind ${killed} changes`);
  }
}

/** Opens on a disk that becomes full, and again when there is room. */
export function checkFull(input: DamagedDirectory, whole: Opening, config: Partial<SegmentedWalConfig>): void {
  if (whole.wal === undefined) return;
  const { salvage: expected } = whole.wal.recovery;
  for (let full = 0; full < whole.changes; full += typeof input.kills === 'number' ? 1 + (input.kills % 7) : 1) {
    const left = open(input, input.tree, config, { full });
    if (expected === undefined) {
      assert.equal(left.error, undefined, `opening needs room: ${left.error?.message}`);
      assert.deepEqual([left.records, left.range], [whole.records, whole.range]);
    }
    if (left.error !== undefined) checkNothingRemoved(input.tree, left.tree);
    checkAgain(input, left.tree, whole, config, `on a disk full behind ${full} changes`);
  }
}

/** What an opening has left that did not come to its end opens as it would have been opened. */
function checkAgain(
  input: DamagedDirectory,
  left: Tree,
  whole: Opening,
  config: Partial<SegmentedWalConfig>,
  what: string,
): void {
  const expected = whole.wal?.recovery.salvage;
  const strict = open(input, left, { recoveryMode: 'strict' });
  if (strict.wal === undefined) {
    assert.notEqual(expected, undefined, `strict refuses what recovery left, ${what}: ${strict.error}`);
    assert.ok(sameTree(strict.tree, left), 'strict changed what it refuses');
  } else if (expected !== undefined) {
    assert.ok(reportsIn(left) > reportsIn(input.tree), `strict opens a log that is half salvaged, ${what}`);
  }
  const again = strict.wal === undefined ? open(input, left, config) : strict;
  assert.equal(again.error, undefined, `${what}: ${again.error?.message}`);
  assert.deepEqual([again.lsns, again.records], [whole.lsns, whole.records], `${what} other records are there`);
  assert.deepEqual(again.wal?.recovery.holes, whole.wal?.recovery.holes, `${what} other holes are there`);
  assert.deepEqual(again.range, whole.range);
  assert.equal(again.wal?.checkpointLsn, whole.wal?.checkpointLsn);
  assert.deepEqual(again.wal?.holds, whole.wal?.holds);
  if (strict.wal !== undefined) return;
  const report = again.wal?.recovery.salvage;
  assert.deepEqual(report?.lost, expected?.lost);
  // Where one salvage becomes two, the segments of the first are given up, as many as there were attempts.
  if (noteIn(input.tree) === undefined) assert.deepEqual(report?.quarantined, expected?.quarantined);
}
