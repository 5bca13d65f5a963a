/** A piece of text in a source file, and what it becomes. */
export interface Change {
  /** The file, from the root of the repository. */
  readonly file: string;
  /** Text that stands exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

/** A deliberate defect: source changed, which some check must notice. */
export interface Defect extends Change {
  /** Short, unique, for the command line. */
  readonly name: string;
  /** The rule that the defect breaks, in a sentence. */
  readonly breaks: string;
  /** A second change, where one rule is held in two places. */
  readonly also?: Change;
  /** The scenario that is tried before all others. */
  readonly scenario?: string;
  /**
   * A file of tests, from the root of the repository, for a rule that power cuts, failures and damage do not show: what
   * the defect does is legal then, and wrong.
   */
  readonly test?: string;
}

/** All that a defect changes. */
export const changesOf = (defect: Defect): readonly Change[] =>
  defect.also === undefined ? [defect] : [defect, defect.also];

/** The text of a file with a defect in it. @throws `Error` when a place is not there exactly once */
export function withDefect(defect: Defect, file: string, text: string): string {
  let changed = text;
  for (const { find, replace } of changesOf(defect).filter((change) => change.file === file)) {
    const places = changed.split(find).length - 1;
    if (places !== 1) throw new Error(`the defect ${defect.name} has ${places} places in ${file}, not one: "${find}"`);
    changed = changed.replace(find, () => replace);
  }
  return changed;
}
