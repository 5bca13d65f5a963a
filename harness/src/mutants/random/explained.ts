/** A change that no check has to notice, and why. */
interface Explanation {
  readonly file: string;
  /** As `pnpm mutants --random` prints it, behind the place. */
  readonly change: string;
  readonly because: string;
}

/** What survived, was read, and changes nothing that is promised. */
export const EXPLAINED: readonly Explanation[] = [];
