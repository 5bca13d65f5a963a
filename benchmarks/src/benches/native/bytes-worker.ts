import { parentPort } from 'node:worker_threads';
import { available } from '@walstack/native';
import { type BytesWork, doBytesWork } from './bytes-work.js';

/** What the worker is asked. */
export interface BytesQuestion {
  readonly work: BytesWork;
  readonly durationMs: number;
}

/** What it answers. */
export interface BytesAnswer {
  readonly perSecond: number;
  /** Whether it was done by the addon. */
  readonly available: boolean;
}

parentPort?.on('message', ({ work, durationMs }: BytesQuestion) => {
  const answer: BytesAnswer = { perSecond: doBytesWork(work, durationMs), available };
  parentPort?.postMessage(answer);
});
