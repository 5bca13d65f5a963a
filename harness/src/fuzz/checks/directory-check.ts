import assert from 'node:assert/strict';
import { parseSegmentFileName, type SegmentHeader, WalError } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { Random } from '../../random.js';
import { headerOf, historyOf } from '../logs/histories.js';
import { type History, optionsOf, textOf } from '../logs/making.js';
import {
  backendOf,
  type Entry,
  fullAfter,
  Killed,
  killAfter,
  sameEntry,
  sameTree,
  type Tree,
  treeOn,
} from '../logs/trees.js';
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

/** The directory of a log that was damaged. */
export interface DamagedDirectory {
  readonly history: History;
  readonly tree: Tree;
  /** Take what is in the clear, though there are keys. */
  readonly allowPlaintext?: boolean;
  /** The LSN to go on with, where salvage asks for one. */
  readonly salvageLsn: number;
  /** Which changes salvage and recovery are killed behind: every one, or some by chance of this seed. */
  readonly kills: 'all' | number;
}

/** What opening a directory came to. */
export interface Opening {
  readonly wal: SegmentedWal | undefined;
  readonly error: WalError | undefined;
  readonly records: readonly string[];
  readonly lsns: readonly number[];
  /** The first LSN and the next one, when it was opened. */
  readonly range: readonly number[];
  readonly tree: Tree;
  /** Changes that it made. */
  readonly changes: number;
  /** It has asked for an LSN, and got one. */
  readonly isTold?: boolean;
}

/** What becomes of an opening: behind so many changes it is killed, or the disk is full. */
interface Ending {
  readonly killed?: number;
  readonly full?: number;
}

const REFUSALS = ['WAL_CORRUPT', 'WAL_FOREIGN_DIRECTORY', 'WAL_NOT_FOUND', 'WAL_BAD_KEY'];

/** Logs whose segments are mixed in, and what they hold. */
export const STRANGERS: readonly number[] = [9001, 9002, 9004];

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

const NOTHING = { wal: undefined, records: [], lsns: [], range: [] };

export function open(
  { history, allowPlaintext = false }: DamagedDirectory,
  tree: Tree,
  config: Partial<SegmentedWalConfig>,
  { killed = Number.POSITIVE_INFINITY, full }: Ending = {},
): Opening {
  const io = backendOf(tree);
  const changes = killAfter(io, killed);
  if (full !== undefined) fullAfter(io, full);
  try {
    const wal = SegmentedWal.openSync({
      ...optionsOf(history.keyId),
      ...(history.keyId > 0 ? { allowPlaintext } : {}),
      segmentBytes: 2048,
      io,
      create: false,
      ...config,
    });
    const made = changes();
    const range = [wal.firstLsn, wal.nextLsn];
    const read = [...wal.replay({ onHole: 'skip' })];
    const lsns = read.map((record) => record.lsn);
    return { wal, error: undefined, records: read.map(textOf), lsns, range, tree: treeOn(io), changes: made };
  } catch (error) {
    if (error instanceof Killed) return { ...NOTHING, error: undefined, tree: treeOn(io), changes: killed };
    if (!WalError.is(error)) throw error;
    const isFull = full !== undefined && error.code === 'WAL_NO_SPACE';
    const isTaken = error.reason === 'taken-name';
    assert.ok(isFull || isTaken || REFUSALS.includes(error.code), `${error.code}: ${error.message}\n${error.stack}`);
    return { ...NOTHING, error, tree: treeOn(io), changes: changes() };
  }
}

/** What is left of a directory when a salvage of it is killed behind so many changes. */
export function salvagedPartly(input: DamagedDirectory, changes: number): Tree {
  const ending = { killed: changes };
  const asked = open(input, input.tree, { recoveryMode: 'salvage' }, ending);
  if (asked.error === undefined) return asked.tree;
  return open(input, input.tree, { recoveryMode: 'salvage', salvageLsn: input.salvageLsn }, ending).tree;
}

/** Salvages, with an LSN where it asks for one. */
function salvaged(input: DamagedDirectory): Opening {
  const first = open(input, input.tree, { recoveryMode: 'salvage' });
  if (first.error === undefined) return first;
  checkRefusal(input, first);
  return { ...open(input, first.tree, { recoveryMode: 'salvage', salvageLsn: input.salvageLsn }), isTold: true };
}

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

/** How many salvages have ended. */
const reportsIn = (tree: Tree): number =>
  [...tree.keys()].filter((path) => /^quarantine.*\/salvage(\.\d+)?$/.test(path)).length;

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

/** Whether a file has the name of a segment, and says nothing of itself. */
function hasNamed(tree: Tree): boolean {
  return [...tree].some(([path, entry]) => {
    const header = entry instanceof Uint8Array ? headerOf(entry) : undefined;
    return parseSegmentFileName(path) !== undefined && header === undefined;
  });
}
