import type { Contestant } from '../case.js';
import { RECORD_BYTES } from '../payloads/records.js';
import type { Settings } from '../settings.js';
import type { LoopResult } from './durable-loop.js';

const DEPTHS = [1, 4, 16];
const BLOCK_BYTES = 4096;

/**
 * What so many committers could get at most: the loop writes what they would, without framing, all of them in one write at
 * a time, or spread over 4 or 16 that are under way side by side. The best of these counts.
 */
export function nativeCommits(
  { nativeLoop, durationMs, scratch }: Settings,
  committers: number,
): readonly Contestant[] {
  if (nativeLoop === undefined) return [];
  const depths = DEPTHS.filter((depth) => depth <= committers);
  const measure = async () => {
    const path = scratch.next('file');
    const samples = depths.map((depth) => {
      const bytes = Math.ceil((Math.ceil(committers / depth) * RECORD_BYTES) / BLOCK_BYTES) * BLOCK_BYTES;
      const result = nativeLoop.run({ path, depth, bytes, durationMs: Math.ceil(durationMs / depths.length) });
      return { value: (result.writesPerSecond * committers) / depth, latency: latencyOf(result) };
    });
    scratch.remove(path);
    return samples.reduce((best, sample) => (sample.value > best.value ? sample : best));
  };
  return [{ subject: nativeLoop.name, measure }];
}

const latencyOf = ({ p50Us, p99Us, p999Us, slow }: LoopResult) => ({ p50Us, p99Us, p999Us, slow });
