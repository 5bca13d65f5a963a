/** A change that no check has to notice, and why. */
interface Explanation {
  readonly file: string;
  /** As `pnpm mutants --random` prints it, behind the place. */
  readonly change: string;
  readonly because: string;
}

/** What survived, was read, and changes nothing that is promised. */
export const EXPLAINED: readonly Explanation[] = [
  {
    file: 'packages/codec/src/payload-decoder.ts',
    change: '`<` becomes `>=` in `return metaLength < payload.length`',
    because: 'Meta and payload are in memory of their own either way: only which of the two is copied differs.',
  },
  {
    file: 'packages/mmap-reader/src/parallel-scan/scan-worker.ts',
    change: '`scan(job);` becomes `;` in `scan(job);`',
    because:
      'The worker answers that it has nothing, and the thread that asked scans the rest of the segment itself: slower.',
  },
  {
    file: 'packages/wal/src/opentelemetry.ts',
    change:
      '`this.#countOpenings(); this.#countCommits();` becomes `this.#countCommits(); this.#countOpenings();` in `this.#countOpenings();`',
    because:
      'Each creates instruments and subscribes to a channel of its own, and neither uses what the other has made.',
  },
  {
    file: 'packages/percore/src/commits/commit-ledger.ts',
    change:
      '`>=` becomes `>` in `const isSince = (lsn: number, before: number): boolean => lsn >= before && lsn !== Number.POSITIVE_INFINITY;`',
    because: 'What is forgotten was committed before a barrier, and the LSN of a barrier is no LSN of a commit.',
  },
  {
    file: 'packages/segmented/src/write/full-disk.ts',
    change: '`this.#noSpace = error;` becomes `;` in `this.#noSpace = error;`',
    because: 'The error of the attempt before is kept, which says the same: there is no room for the segment.',
  },
  {
    file: 'packages/segmented/src/write/roll.ts',
    change:
      '`chain.sealed.push(sealed); this.#announce(sealed, next);` becomes `this.#announce(sealed, next); chain.sealed.push(sealed);` in `chain.sealed.push(sealed);`',
    because: 'What is said on a channel is published when the step has ended, and both are in one step.',
  },
  {
    file: 'packages/wal/src/commit/background-flush.ts',
    change: '`this.#underWay` becomes `false` in `if (this.#underWay) this.#flushAgain = true;`',
    because: 'The log itself carries out one flush at a time, and all that are asked for meanwhile share the next one.',
  },
  {
    file: 'packages/codec/src/javascript/crc32c.ts',
    change: '`found !== undefined` becomes `false` in `if (found !== undefined) return found;`',
    because: 'The same table is made once more: slower.',
  },
  {
    file: 'packages/storage-io/src/backends/node-fs/sync-fs.ts',
    change: "`process.platform === 'win32'` becomes `false` in `if (process.platform === 'win32') return;`",
    because: 'The checks run on another platform.',
  },
  {
    file: 'packages/wal/src/commit/waiters.ts',
    change:
      '`<` becomes `<=` in `const isBefore = (a: Waiter, b: Waiter): boolean => a.lsn < b.lsn || (a.lsn === b.lsn && a.turn < b.turn);` (2)',
    because: 'No two waiters have the same turn.',
  },
  {
    file: 'packages/wal/src/reading.ts',
    change:
      '`!hasSignal(options)` becomes `false` in `if (!hasSignal(options)) return payloads.eventsOf(replay(log, from, options), undefined);`',
    because:
      'Without a signal the log is given the same options either way, and what is wrong with them is refused alike.',
  },
];
