import { Wal, type WalEvent } from '@walstack/wal';
import { expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';
import { type Operation, StepDisk } from './support/step-disk.js';

const fill = async (wal: Wal, upTo: number, life: string): Promise<void> => {
  while (wal.lastLsn < upTo) wal.append(`${life}${wal.lastLsn + 1}`);
  await wal.sync();
};

/** Cuts the end of a log in one way or another. */
const CUTS = {
  truncateAfter: (wal: Wal) => wal.truncateAfter(5),
  resetTo: (wal: Wal) => wal.resetTo(3),
};

test.each(
  Object.entries(CUTS).flatMap(([name, cut]) =>
    (['syncDirectory', 'datasync', 'truncate'] as const).map((operation) => [name, operation, cut] as const),
  ),
)('a follower that begins within %s, at any %s of it, reports no damage', async (_name, operation: Operation, cut) => {
  let steps = 0;
  for (let isWithin = true; isWithin; steps++) {
    const disk = new StepDisk();
    const options = { io: disk.io, segmentBytes: 4096, blockBytes: 512, recycleSegments: 0, markAfterMs: 0 };
    const wal = await Wal.open(`${temporaryDirectory()}/log`, options);
    await fill(wal, 10, 'a');
    disk.holdResults(operation);
    const cutting = cut(wal).then(() => false);
    isWithin = true;
    for (let step = 0; step <= steps && isWithin; step++) {
      isWithin = await Promise.race([disk.held(operation).then(() => true), cutting]);
      if (isWithin && step < steps) disk.release(operation);
    }
    if (isWithin) {
      const follower = wal.follow('first');
      const found: string[] = [];
      const reading = (async (): Promise<unknown> => {
        try {
          for (;;) {
            const { value, done } = await follower.next();
            if (done === true) return undefined;
            found.push(text((value as WalEvent).payload));
          }
        } catch (error) {
          return error;
        }
      })();
      await turns(200);
      disk.releaseAll(operation);
      await cutting;
      await fill(wal, 12, 'b');
      await turns(200);
      await follower.return();
      // What was read may have been cut off: that is reported, and nothing else.
      const error = await reading;
      if (error !== undefined) expect(error).toMatchObject({ code: 'WAL_TRUNCATED', reason: 'cut-back' });
      else expect(found.at(-1)).toBe('b12');
    } else disk.releaseAll(operation);
    await wal.shutdown();
  }
  expect(steps).toBeGreaterThan(0);
});
