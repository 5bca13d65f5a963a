import { parseSegmentFileName, WalError } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { type LogOptions, Making } from './making.js';
import { backendOf, fullAfter, Killed, killAfter, type Tree, treeOn } from './trees.js';

/** Keys that a log may go over to. */
const KEYS = [1, 2, 3];

/**
 * Makes histories in which more happens: keys come and change, payloads are compressed, batches with holds inside them, disks
 * are full, and what was damaged is salvaged, at once or after having been killed, and goes on.
 */
export class EventfulMaking extends Making {
  #compression: Pick<SegmentedWalConfig, 'compression'> = {};
  #isMade = false;

  protected override get options(): LogOptions {
    // What is in the clear from before is taken: the log is its own.
    return { ...super.options, ...this.#compression, ...(this.keyId > 0 ? { allowPlaintext: true } : {}) };
  }

  protected override run(io: StorageIo): void {
    const { random } = this;
    if (this.keyId === 0 && random.chance(0.3)) this.keyId = random.pick(KEYS);
    this.#compression = random.chance(0.4) ? { compression: { codec: 'deflate', thresholdBytes: 1 } } : {};
    // Opening needs no room where there is a log, but making one does.
    if (this.#isMade && random.chance(0.25)) fullAfter(io, random.integer(0, 25));
    this.#isMade = true;
    try {
      super.run(io);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
    }
  }

  protected override between(io: StorageIo): StorageIo {
    const left = super.between(io);
    return this.random.chance(0.3) ? this.#salvaged(left) : left;
  }

  protected override act(wal: SegmentedWal, io: StorageIo): void {
    const { random } = this;
    const what = random.next();
    if (what < 0.08 && this.keyId > 0) {
      this.keyId = random.pick(KEYS);
      wal.rotateKeySync(this.keyId);
    } else if (what < 0.2) {
      const first = wal.nextLsn;
      wal.appendBatch(this.batchFor(wal));
      wal.syncSync();
      const inside = random.integer(first, wal.nextLsn);
      if (random.chance(0.5)) wal.holdSync('inside', inside);
      else wal.checkpointSync(inside - 1);
    } else if (what < 0.25) {
      wal.appendBatch(this.batchFor(wal));
      wal.flushSync();
    } else super.act(wal, io);
  }

  protected override openStrictly(io: StorageIo): SegmentedWal {
    try {
      return SegmentedWal.openSync({ ...this.options, allowPlaintext: false, io });
    } catch (error) {
      if (!WalError.is(error, 'WAL_BAD_KEY') || error.reason !== 'plaintext') throw error;
    }
    // Nothing was encrypted yet.
    this.keyId = 0;
    return super.openStrictly(io);
  }

  /** The log damaged, and salvaged where that can be: a salvage or two may be killed before, or all of it left as it is. */
  #salvaged(io: StorageIo): StorageIo {
    const { random } = this;
    const before = treeOn(io);
    let tree = this.#damaged(before);
    const salvageLsn = random.integer(1, 140);
    for (let kills = random.pick([0, 0, 1, 2]); kills > 0; kills--) {
      const dying = backendOf(tree);
      killAfter(dying, random.integer(0, 25));
      if (this.#salvage(dying, salvageLsn) === 'refused') return backendOf(before);
      tree = treeOn(dying);
    }
    const left = backendOf(tree);
    return this.#salvage(left, salvageLsn) === 'refused' ? backendOf(before) : backendOf(treeOn(left));
  }

  #salvage(io: StorageIo, salvageLsn: number): 'refused' | 'done' | 'killed' {
    try {
      SegmentedWal.openSync({ ...this.options, io, recoveryMode: 'salvage', salvageLsn });
      return 'done';
    } catch (error) {
      if (error instanceof Killed) return 'killed';
      if (!WalError.is(error, 'WAL_CORRUPT') && !WalError.is(error, 'WAL_BAD_KEY')) throw error;
      return 'refused';
    }
  }

  #damaged(tree: Tree): Tree {
    const { random } = this;
    const names = [...tree.keys()].filter((path) => parseSegmentFileName(path) !== undefined);
    if (names.length === 0) return tree;
    const name = random.pick(names);
    const bytes = (tree.get(name) as Uint8Array).slice();
    const changed = new Map(tree);
    const what = random.next();
    if (what < 0.2) changed.delete(name);
    else if (what < 0.4) changed.set(name, bytes.subarray(0, random.integer(0, bytes.length)));
    else {
      const at = random.integer(0, bytes.length);
      changed.set(name, bytes.fill(0xaa, at, at + random.integer(1, 20)));
    }
    return changed;
  }
}
