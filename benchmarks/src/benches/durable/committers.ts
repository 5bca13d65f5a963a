import type { Sample } from '../../case.js';
import { NumberedRecord, RECORD_BYTES } from '../../payloads/records.js';
import { Latencies } from '../../rows/latencies.js';
import type { CommittingLog } from '../../subjects/subject.js';

/** Commits as fast as it goes: each committer waits for its record to be durable before the next one. */
export async function commitFor(
  log: Pick<CommittingLog, 'commit'>,
  committers: number,
  durationMs: number,
): Promise<Required<Omit<Sample, 'also'>> & { readonly commits: number }> {
  const latencies = new Latencies();
  let commits = 0;
  const start = performance.now();
  const deadline = start + durationMs;
  const commitOneByOne = async (): Promise<void> => {
    const record = new NumberedRecord(RECORD_BYTES);
    for (let before = start; before < deadline; ) {
      await log.commit(record.numbered(++commits));
      const after = performance.now();
      latencies.add((after - before) * 1000);
      before = after;
    }
  };
  await Promise.all(Array.from({ length: committers }, commitOneByOne));
  return { commits, value: (commits * 1000) / (performance.now() - start), latency: latencies.summary };
}

/** The same in one thread that is blocked meanwhile. */
export function commitSyncFor(
  commit: (payload: Uint8Array) => void,
  durationMs: number,
): Required<Omit<Sample, 'also'>> & { readonly commits: number } {
  const latencies = new Latencies();
  const record = new NumberedRecord(RECORD_BYTES);
  let commits = 0;
  const start = performance.now();
  for (let before = start; before < start + durationMs; ) {
    commit(record.numbered(++commits));
    const after = performance.now();
    latencies.add((after - before) * 1000);
    before = after;
  }
  return { commits, value: (commits * 1000) / (performance.now() - start), latency: latencies.summary };
}
