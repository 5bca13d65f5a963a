import type { Defect } from '../defect.js';
import { SEGMENTED } from './folders.js';

const TEST = 'packages/segmented/test/mark-without-room.test.ts';

/** Defects in what a log does whose mark finds no room on a full disk. */
export const MARKS_WITHOUT_ROOM_DEFECTS: readonly Defect[] = [
  {
    name: 'mark-alone-fails-a-close',
    test: TEST,
    breaks: 'A log of which everything is durable is closed also where there is no room to write its mark.',
    file: `${SEGMENTED}/write/segment-writer.ts`,
    find: 'if (error !== this.noSpace || !(discard ? isEverythingTakenDurable : isEverythingDurable)) throw error;',
    replace: 'throw error;',
  },
  {
    name: 'nothing-dropped-behind-a-mark-without-room',
    test: TEST,
    breaks:
      'What was appended behind an idle mark that waits for room is dropped by a close that drops what was not written.',
    file: `${SEGMENTED}/write/segment-writer.ts`,
    find: '(discard ? isEverythingTakenDurable : isEverythingDurable)',
    replace: 'isEverythingDurable',
  },
  {
    name: 'mark-written-without-the-reserve',
    test: TEST,
    breaks: 'The mark of a close takes the reserve where there is no room to write it.',
    file: `${SEGMENTED}/write/segment-writer.ts`,
    find: 'if (this.noSpace !== undefined) yield* sync();',
    replace: '',
  },
  {
    name: 'sync-rejects-for-a-mark-without-room',
    test: TEST,
    breaks: 'A sync does not reject while only a mark waits for room.',
    file: `${SEGMENTED}/write/calls/sync-calls.ts`,
    find: 'yield* this.#writer.leavingOutMarks(this.#writer.submit());',
    replace: 'yield* this.#writer.submit();',
  },
  {
    name: 'backup-rejects-for-a-mark-without-room',
    test: TEST,
    breaks: 'A backup on a disk with room is made while a mark of the log waits for some.',
    file: `${SEGMENTED}/backup/backup.ts`,
    find: 'yield* writer.leavingOutMarks(writer.sync());',
    replace: 'yield* writer.sync();',
  },
  {
    name: 'roll-without-room-for-a-mark',
    test: TEST,
    breaks: 'A roll of a call takes the reserve for a mark that waits for room.',
    file: `${SEGMENTED}/write/segment-writer.ts`,
    find: 'this.#roll.now(() => this.syncWithReserve())',
    replace: 'this.#roll.now(() => this.sync())',
  },
  {
    name: 'cut-without-room-for-a-mark',
    test: TEST,
    breaks: 'A cut takes the reserve for a mark that waits for room.',
    file: `${SEGMENTED}/retention/truncation.ts`,
    find: 'yield* writer.leavingOutMarks(writer.syncWithReserve());\n    if (lsn < writer.firstLsn - 1)',
    replace: 'yield* writer.leavingOutMarks(writer.sync());\n    if (lsn < writer.firstLsn - 1)',
  },
  {
    name: 'records-before-a-cut-take-the-reserve',
    test: TEST,
    breaks: 'Records that wait for room do not take the reserve of a cut.',
    file: `${SEGMENTED}/write/segment-writer.ts`,
    find: '() => this.#watermarks.isEverythingDurable,',
    replace: '() => true,',
  },
];
