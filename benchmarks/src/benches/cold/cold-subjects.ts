import { ringAppend } from '../../ring/ring-append.js';
import { fileSystem } from '../../subjects/file-system.js';
import type { Subject } from '../../subjects/subject.js';
import { BACKENDS, walstack } from '../../subjects/walstack.js';

/** What a new process can measure. */
export const COLD_SUBJECTS: readonly Pick<Subject, 'name' | 'appending' | 'reading'>[] = [
  ...BACKENDS.map((io) => walstack(io, false)),
  fileSystem,
  ringAppend,
];

/** So many logs a program opens, one after the other. */
export const LOGS = 20;

/** Records of one of them: those between the first, of which the second half is measured, and the last are smaller. */
export function recordsOfLog(number: number, count: number): number {
  if (number === 1) return 2 * count;
  return number === LOGS ? count : Math.ceil(count / 10);
}
