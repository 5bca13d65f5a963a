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
];
