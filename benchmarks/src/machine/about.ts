import type { Subject } from '../subjects/subject.js';
import { describeMachine } from './machine.js';

/** Where figures come from. */
export interface About {
  /** The day, `2030-01-31`. */
  readonly date: string;
  readonly machine: string;
  /** Measured for a look only. */
  readonly quick: boolean;
  /** What each subject is, by its name. */
  readonly subjects: Readonly<Record<string, string>>;
}

export const describe = (
  directory: string,
  quick: boolean,
  subjects: readonly Pick<Subject, 'name' | 'how'>[],
): About => ({
  date: new Date().toISOString().slice(0, 10),
  machine: describeMachine(directory),
  quick,
  subjects: Object.fromEntries(subjects.map(({ name, how }) => [name, how])),
});

/** Where that stands, beside the rows: `results.json` has `results.about.json`. */
export const aboutPath = (rowsPath: string): string => `${rowsPath.replace(/\.json$/, '')}.about.json`;
