import assert from 'node:assert/strict';
import { parseSegmentFileName, type SegmentHeader } from '@walstack/codec';
import type { SegmentedWal } from '@walstack/segmented';
import { headerOf, historyOf } from '../logs/histories.js';
import type { History } from '../logs/making.js';
import { type Entry, sameEntry, sameTree, type Tree, treeOn } from '../logs/trees.js';
import { type DamagedDirectory, type Opening, open } from './damaged-directory.js';
import { checkFull, checkKills } from './interrupted-openings.js';
import { checkContents, checkNothingRemoved, checkRefusal, reportsIn, STRANGERS } from './opening-checks.js';
import {
  begunBefore,
  checkpointIn,
  hasNoRecord,
  keptBySalvage,
  keptWhenTold,
  type Note,
  noteIn,
  provenIn,
} from './salvage-rule.js';

/**
 * Opens a damaged directory in all three ways. Strict loses no record that is proven, and changes nothing that it refuses;
 * readonly says what strict says; salvage removes no segment, keeps what its rule says, reports what is gone, and strict
 * opens what it has left; and each can be killed behind every change, or find the disk full.
 */
export function checkDirectory(input: DamagedDirectory): void {
  if (DRAFTS.some((name) => typeof input.tree.get(name) === 'string')) {
    checkTakenName(input);
    return;
  }
  const strict = open(input, input.tree, { recoveryMode: 'strict' });
  checkStrict(input, strict);
  checkReadonly(input, strict);
  const salvage = salvaged(input);
  checkSalvage(input, strict, salvage);
  const config = { recoveryMode: 'salvage', salvageLsn: input.salvageLsn } as const;
  checkKills(input, strict, {});
  checkKills(input, salvage, config);
  checkFull(input, strict, {});
  checkFull(input, salvage, config);
}

/** Names that the log needs for files. */
const DRAFTS = ['next.seg', 'checkpoint.new', 'salvage.new'];

/** What is no file in the place of one that is written is refused, with nothing changed. */
function checkTakenName(input: DamagedDirectory): void {
  for (const recoveryMode of ['strict', 'salvage'] as const) {
    const { error, tree } = open(input, input.tree, { recoveryMode });
    assert.ok(error !== undefined && sameTree(tree, input.tree), `${recoveryMode} changed something: ${error}`);
  }
}

/** Salvages, with an LSN where it asks for one. */
function salvaged(input: DamagedDirectory): Opening {
  const first = open(input, input.tree, { recoveryMode: 'salvage' });
  if (first.error === undefined) return first;
  checkRefusal(input, first);
  return { ...open(input, first.tree, { recoveryMode: 'salvage', salvageLsn: input.salvageLsn }), isTold: true };
}

function checkStrict(input: DamagedDirectory, strict: Opening): void {
  const { tree } = input;
  if (strict.wal === undefined) {
    assert.ok(sameTree(strict.tree, tree), 'strict changed what it refuses');
    return;
  }
  assert.equal(noteIn(tree), undefined, 'strict opens a log whose salvage has not ended');
  checkContents(input, strict);
  checkProven(input, strict.wal);
  for (const [path, entry] of tree) {
    // What is not of this log, or has not the name that it says, is not removed.
    const header = entry instanceof Uint8Array ? headerOf(entry) : undefined;
    const name = parseSegmentFileName(path);
    const isOwn = isOf(strict, header) && header?.number === name?.number && header?.firstLsn === name?.firstLsn;
    if (name !== undefined && !isOwn) {
      assert.ok(
        sameEntry(entry, strict.tree.get(path)),
        `strict removed ${path}, which does not say that it is its own`,
      );
    }
  }
  checkGivenUp(tree, strict.tree);
}

/**
 * What the true segments that are there prove is not lost. Where the log has gone on after it was damaged, it is without what
 * was lost by that: what stands before the segments that it has made since is still promised.
 */
function checkProven({ history, tree }: DamagedDirectory, { firstLsn, lastLsn }: SegmentedWal): void {
  const read = checkpointIn(tree);
  const known = Math.max(read?.checkpointLsn ?? 0, ...Object.values(read?.holds ?? {}).map((lsn) => lsn - 1));
  assert.ok(lastLsn >= known, `strict lost ${lastLsn + 1} to ${known}, which the checkpoint proves`);
  const later = madeLater(history, tree);
  let isThere = false;
  for (const { name, id, lastLsn: last } of history.segments) {
    const bytes = tree.get(name);
    const header = bytes instanceof Uint8Array ? headerOf(bytes) : undefined;
    if (header === undefined || idOf(header) !== id) continue;
    isThere = true;
    const proven = later
      .filter(({ number }) => number > header.number)
      .reduce((most, { firstLsn: cutFrom }) => Math.min(most, cutFrom - 1), provenIn(bytes as Uint8Array, last));
    assert.ok(lastLsn >= proven, `strict lost ${lastLsn + 1} to ${proven}, which ${name} proves`);
  }
  // Another checkpoint may say that the log has been truncated, and what a salvage has given up and reported is lost.
  const isSame = !tree.has('checkpoint') || sameEntry(tree.get('checkpoint'), history.tree.get('checkpoint'));
  const isBegun = reportsIn(tree) === reportsIn(history.tree);
  if (isThere && isSame && isBegun)
    assert.ok(firstLsn <= history.firstLsn, `strict lost what the log began with: ${firstLsn}`);
}

/** The headers of segments that are neither of the history nor of another log: the log has made them after it was damaged. */
function madeLater(history: History, tree: Tree): readonly SegmentHeader[] {
  const known = new Set(
    [history.tree, ...history.older, ...STRANGERS.map((each) => historyOf(each).tree)].flatMap((each) =>
      headersIn(each).map(idOf),
    ),
  );
  return headersIn(tree).filter((header) => !known.has(idOf(header)));
}

/** The headers of all segments in a directory, and in quarantine. */
const headersIn = (tree: Tree): readonly SegmentHeader[] =>
  [...tree.values()].flatMap((entry) => (entry instanceof Uint8Array ? (headerOf(entry) ?? []) : []));

const idOf = ({ segmentId }: SegmentHeader): string => Buffer.from(segmentId).toString('hex');

/** What is older than the last salvage is moved into quarantine at most. */
function checkGivenUp(tree: Tree, left: Tree): void {
  const floor = checkpointIn(tree)?.salvagedBelow ?? 0;
  for (const [path, entry] of tree) {
    if ((parseSegmentFileName(path)?.number ?? floor) >= floor) continue;
    // A newest one that is empty has a successor in its place.
    if (entry instanceof Uint8Array && hasNoRecord(entry)) continue;
    // What is still part of the log may have got a mark.
    const isLeft =
      left.has(path) || [...left].some(([other, there]) => other.includes(path) && sameEntry(there, entry));
    assert.ok(isLeft, `strict removed ${path}, which a salvage has given up`);
  }
}

const isOf = ({ tree }: Opening, header: ReturnType<typeof headerOf>): boolean => {
  if (header === undefined) return false;
  const newest = [...tree]
    .filter(([path]) => parseSegmentFileName(path) !== undefined)
    .sort()
    .at(-1)?.[1];
  const own = newest instanceof Uint8Array ? headerOf(newest) : undefined;
  return own !== undefined && Buffer.compare(own.logId, header.logId) === 0;
};

function checkReadonly(input: DamagedDirectory, strict: Opening): void {
  const readonly = open(input, input.tree, { recoveryMode: 'readonly' });
  assert.ok(sameTree(readonly.tree, input.tree), 'readonly changed something');
  // What is in the clear where it should not be, readonly refuses when it comes to it.
  if (strict.error?.reason === 'plaintext') return;
  assert.equal(readonly.error?.code, strict.error?.code, 'readonly says another thing than strict');
  assert.equal(readonly.error?.reason, strict.error?.reason, 'readonly has another reason than strict');
  assert.deepEqual(readonly.records, strict.records, 'readonly reads another thing than strict');
  assert.deepEqual(readonly.range, strict.range);
}

function checkSalvage(input: DamagedDirectory, strict: Opening, salvage: Opening): void {
  const { tree, history } = input;
  const { wal } = salvage;
  if (strict.wal !== undefined) {
    assert.deepEqual([salvage.records, salvage.range], [strict.records, strict.range]);
    return;
  }
  const note = noteIn(tree);
  // What was begun before is gone on with, whatever is there now.
  const isRuled = strict.error?.code === 'WAL_CORRUPT' && note === undefined;
  const rule = isRuled ? keptBySalvage(tree) : 'asks';
  const hasGuessed = isRuled && rule === 'asks' && salvage.wal !== undefined && !salvage.isTold;
  assert.ok(!hasGuessed, `salvage has to ask for an LSN, and goes on with ${wal?.nextLsn}`);
  if (wal === undefined) {
    checkRefusal(input, salvage);
    // A log in the clear in the place of an encrypted one is none that these keys go with.
    const isForeign = salvage.error?.code === 'WAL_BAD_KEY' || salvage.error?.reason === 'salvage-name';
    const said = salvage.error?.message;
    assert.ok(isForeign || typeof rule === 'string', `salvage keeps ${JSON.stringify(rule)}, and refused: ${said}`);
    return;
  }
  checkContents(input, salvage);
  assert.notEqual(rule, 'several logs');
  if (typeof rule !== 'string') {
    // Where nothing is kept there is no first one.
    const first = rule.nextLsn === rule.firstLsn ? wal.firstLsn : rule.firstLsn;
    assert.deepEqual([wal.firstLsn, wal.nextLsn], [first, rule.nextLsn], 'salvage keeps what its rule does not say');
  }
  if (isRuled && rule === 'asks') {
    const told = keptWhenTold(tree, input.salvageLsn);
    assert.ok(
      typeof told === 'object',
      `salvage goes on with ${wal.nextLsn}, and nothing stands before what it was told`,
    );
    const first = wal.nextLsn === wal.firstLsn ? told.nextLsn : told.firstLsn;
    assert.deepEqual([wal.firstLsn, wal.nextLsn], [first, told.nextLsn], 'salvage keeps other than it was told to');
  }
  checkNothingRemoved(tree, salvage.tree);
  checkReport(input, salvage, rule);
  checkLost(input, salvage, note);
  assert.ok(wal.checkpointLsn < wal.nextLsn);
  assert.equal(wal.append('on'), wal.nextLsn - 1);
  const { io, nextLsn, firstLsn } = wal;
  wal.closeSync();
  const again = open(input, treeOn(io), { recoveryMode: 'strict' });
  assert.equal(again.error, undefined, 'strict refuses what salvage has left');
  assert.equal(again.wal?.recovery.reason, 'clean');
  assert.deepEqual(again.records, [...salvage.records, 'on']);
  assert.deepEqual([again.wal?.firstLsn, again.wal?.nextLsn], [firstLsn, nextLsn]);
  assert.ok(history.lastLsn >= 0);
}

function checkReport(input: DamagedDirectory, { wal, tree }: Opening, rule: ReturnType<typeof keptBySalvage>): void {
  const report = wal?.recovery.salvage;
  assert.ok(wal !== undefined && report !== undefined, 'salvage does not say what it did');
  const { firstLsn, nextLsn } = wal;
  const isSame = sameEntry(input.tree.get('checkpoint'), input.history.tree.get('checkpoint'));
  const note = noteIn(input.tree);
  const wasSaid = (lsn: number): boolean =>
    note?.lost.some(({ fromLsn, toLsn }) => lsn >= fromLsn && lsn <= toLsn) ?? false;
  for (const { fromLsn, toLsn } of report.lost) {
    const isOutside = toLsn < firstLsn || fromLsn >= nextLsn || firstLsn === nextLsn;
    assert.ok(fromLsn <= toLsn && isOutside, 'what is kept is not lost');
    for (let lsn = fromLsn; lsn <= toLsn; lsn++) {
      const was =
        lsn < firstLsn || input.history.ever.has(lsn) || STRANGERS.some((each) => historyOf(each).ever.has(lsn));
      // Another checkpoint may name what never was, and the name of a segment whose header is damaged says that there was something before it.
      assert.ok(
        was || !isSame || lsn < input.history.firstLsn || hasNamed(input.tree) || wasSaid(lsn),
        `LSN ${lsn} is said to be lost, and never was`,
      );
    }
  }
  if (typeof rule !== 'string' && rule.lastRead >= nextLsn) {
    assert.ok(
      report.lost.some(({ fromLsn, toLsn }) => fromLsn <= Math.max(nextLsn, fromLsn) && toLsn >= rule.lastRead),
      `LSN ${rule.lastRead} is lost, and the report says ${JSON.stringify(report.lost)}`,
    );
  }
  const place = report.quarantine.split('/').slice(2).join('/');
  for (const name of report.quarantined) {
    // What was to be moved may have been removed before.
    const isThere = tree.has(`${place}/${name}`) || (note !== undefined && !input.tree.has(name));
    assert.ok(isThere, `${name} is not in quarantine`);
  }
  const kept = new Set(wal.listSegments().map(({ path }) => path.split('/').at(-1)));
  // The segment that salvage makes may get the name that a renamed copy had: it is another file then.
  const isKept = (path: string): boolean => kept.has(path) && sameHeader(tree.get(path), input.tree.get(path));
  // One that was begun before has moved some already, and what came since is kept aside without being a part of it.
  if (note !== undefined) return;
  const gone = [...input.tree.keys()].filter((path) => parseSegmentFileName(path) !== undefined && !isKept(path));
  assert.deepEqual(report.quarantined.filter((name) => name !== 'checkpoint').sort(), gone.sort());
}

/** What was given up before is still said to be lost, and so is what stood before the first record that is kept. */
function checkLost({ tree }: DamagedDirectory, { wal }: Opening, note: Note | undefined): void {
  const { firstLsn, nextLsn, recovery } = wal as SegmentedWal;
  const lost = recovery.salvage?.lost ?? [];
  const isSaid = (lsn: number): boolean =>
    (lsn >= firstLsn && lsn < nextLsn) || lost.some(({ fromLsn, toLsn }) => lsn >= fromLsn && lsn <= toLsn);
  for (const { fromLsn, toLsn } of note?.lost ?? []) {
    for (let lsn = fromLsn; lsn <= toLsn; lsn++) assert.ok(isSaid(lsn), `LSN ${lsn} was said to be lost before`);
  }
  // What it was to keep was there.
  for (let lsn = note?.firstLsn ?? 0; lsn < (note?.nextLsn ?? 0); lsn++) {
    assert.ok(isSaid(lsn), `LSN ${lsn} was to be kept before, and the report says ${JSON.stringify(lost)}`);
  }
  const begun = nextLsn === firstLsn ? firstLsn : begunBefore(tree, (wal as SegmentedWal).listSegments()[0]);
  // What it has decided before says nothing of what came since.
  for (let lsn = Math.max(begun, note?.firstLsn ?? 1); lsn < firstLsn; lsn++) {
    assert.ok(
      isSaid(lsn),
      `LSN ${lsn} is lost with the segment behind it, and the report says ${JSON.stringify(lost)}`,
    );
  }
}

function sameHeader(entry: Entry | undefined, other: Entry | undefined): boolean {
  if (!(entry instanceof Uint8Array && other instanceof Uint8Array)) return false;
  return Buffer.compare(entry.subarray(0, 128), other.subarray(0, 128)) === 0;
}

/** Whether a file has the name of a segment, and says nothing of itself. */
function hasNamed(tree: Tree): boolean {
  return [...tree].some(([path, entry]) => {
    const header = entry instanceof Uint8Array ? headerOf(entry) : undefined;
    return parseSegmentFileName(path) !== undefined && header === undefined;
  });
}
