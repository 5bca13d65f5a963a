import assert from 'node:assert/strict';
import { WalError } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { type History, optionsOf, textOf } from '../logs/making.js';
import { backendOf, fullAfter, Killed, killAfter, type Tree, treeOn } from '../logs/trees.js';

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
