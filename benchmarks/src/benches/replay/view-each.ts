import { replayDirectory } from '@walstack/mmap-reader';
import { RECORD_BYTES, RecordCheck } from '../../payloads/records.js';

/** Reads a log with a view of each payload, and checks that records come in order. @returns how many there were */
export function viewEach(directory: string): number {
  using cursor = replayDirectory(directory).cursor();
  const check = new RecordCheck();
  while (cursor.next()) check.next(cursor.payload, RECORD_BYTES);
  return check.count;
}
