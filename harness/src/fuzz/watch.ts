import { Worker } from 'node:worker_threads';
import type { Arguments } from './arguments.js';
import type { Finding, Progress } from './fuzz.js';

/** A turn takes a second, and shrinking what it found some more. */
const HANGS_AFTER_MS = 180_000;

/** What was done, and what was found. */
export interface Outcome {
  readonly inputs: number;
  readonly finding: Finding | undefined;
}

/**
 * Fuzzes in a thread of its own, and takes it for a finding when a turn does not end.
 *
 * @param entry - the program of that thread
 */
export async function watch(given: Arguments, entry: URL, hangsAfterMs = HANGS_AFTER_MS): Promise<Outcome> {
  const worker = new Worker(entry, { workerData: given });
  try {
    return await new Promise((resolve, reject) => {
      let inputs = 0;
      let timer: NodeJS.Timeout | undefined;
      worker.on('error', reject);
      worker.on('message', (progress: Progress) => {
        clearTimeout(timer);
        if (progress.what === 'done') {
          resolve({ inputs, finding: progress.finding });
          return;
        }
        inputs += progress.inputs;
        const { target, seed } = progress;
        const error = `it hangs: ${progress.inputs} inputs of the seed ${seed} took more than ${hangsAfterMs} ms`;
        timer = setTimeout(() => resolve({ inputs, finding: { target, input: '', error } }), hangsAfterMs);
      });
    });
  } finally {
    await worker.terminate();
  }
}
