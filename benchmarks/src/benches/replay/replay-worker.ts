/** A thread that reads logs as often as it is asked to: with the native addon or without it, as its environment says. */
import { parentPort } from 'node:worker_threads';
import { available } from '@walstack/native';
import { viewEach } from './view-each.js';

/** Which log is to be read. */
export interface ReplayQuestion {
  readonly directory: string;
}

export interface ReplayAnswer {
  /** Whether the addon was there. */
  readonly available: boolean;
  readonly count: number;
  readonly elapsedMs: number;
}

parentPort?.on('message', ({ directory }: ReplayQuestion) => {
  const start = performance.now();
  const count = viewEach(directory);
  const answer: ReplayAnswer = { available, count, elapsedMs: performance.now() - start };
  parentPort?.postMessage(answer);
});
