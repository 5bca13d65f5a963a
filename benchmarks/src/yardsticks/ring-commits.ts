import { commitFor } from '../benches/durable/committers.js';
import type { Contestant } from '../case.js';
import { RECORD_BYTES, RecordCheck } from '../payloads/records.js';
import { ringLoopMissing } from '../ring/missing.js';
import { forEachPrepared } from '../ring/prepared-files.js';
import { RingLoop } from '../ring/ring-loop.js';
import type { Settings } from '../settings.js';

/** What the rows are named after, and what it is. */
export const RING_LOOP = {
  name: 'ring-loop',
  how:
    'the least JavaScript on a bare ring of @walstack/native that makes the same groups as Wal with the same promises: ' +
    'frames and checksums of a log, groups padded to blocks of 4 KiB, up to 16 durable direct writes in flight, files that ' +
    'are wholly prepared before they are written to, from 4 to 64 MiB, while the one before is filled',
};

/** What so many committers get of a bare ring, with nothing of a log that its promises do not need. */
export function ringCommits({ scratch, durationMs }: Settings, committers: number): readonly Contestant[] {
  if (ringLoopMissing(scratch.path) !== undefined) return [];
  const measure = async () => {
    const path = scratch.next('log');
    const log = new RingLoop(path, committers);
    const { commits, ...sample } = await commitFor(log, committers, durationMs);
    log.close();
    const check = new RecordCheck();
    forEachPrepared(path, (payload) => check.next(payload, RECORD_BYTES));
    check.end(commits);
    scratch.remove(path);
    return sample;
  };
  return [{ subject: RING_LOOP.name, measure }];
}
