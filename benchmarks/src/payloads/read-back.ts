import type { Subject } from '../subjects/subject.js';
import { RecordCheck } from './records.js';

/** Opens what a subject has kept and checks that it is the records 1 to `count`, under those numbers, and nothing else. */
export async function readBack(
  subject: Pick<Subject, 'reading'>,
  path: string,
  count: number,
  bytes: number,
): Promise<void> {
  const check = new RecordCheck();
  const log = await subject.reading(path, bytes);
  try {
    await log.forEach((payload, number) => {
      check.next(payload, bytes);
      if (number !== check.count) throw new Error(`record ${check.count} is kept under the number ${number}`);
    });
  } finally {
    await log.close();
  }
  check.end(count);
}
