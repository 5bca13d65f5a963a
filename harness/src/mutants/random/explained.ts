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
];
