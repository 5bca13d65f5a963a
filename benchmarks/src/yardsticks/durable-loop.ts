import type { Latency } from '../rows/latencies.js';

/** What a loop of durable writes is to do. */
export interface LoopRun {
  /** The file it makes, and may fill beforehand. */
  readonly path: string;
  /** Writes under way at a time. */
  readonly depth: number;
  /** Bytes of each, a multiple of 4096. */
  readonly bytes: number;
  readonly durationMs: number;
}

/** What came of it. */
export interface LoopResult extends Latency {
  readonly writesPerSecond: number;
}

/**
 * A program that makes aligned writes durable, one behind the other in blocks that were written before, and does nothing
 * else: what the disk and the system allow.
 */
export interface DurableLoop {
  readonly name: string;
  readonly how: string;
  run(run: LoopRun): LoopResult;
}
