import { Worker } from 'node:worker_threads';
import { available, unavailableReason } from '@walstack/native';
import type { Case, Contestant } from '../../case.js';
import { inPackage } from '../../machine/folders.js';
import type { Settings } from '../../settings.js';
import { BytesLoop } from './bytes-loop.js';
import type { BytesWork } from './bytes-work.js';
import type { BytesAnswer, BytesQuestion } from './bytes-worker.js';
import { durableWrites } from './durable-writes.js';

/** Sentences on what is left out. */
export const nativeLeftOut: readonly string[] = [
  ...(unavailableReason === undefined ? [] : [`walstack/native is left out: ${unavailableReason}`]),
  ...(BytesLoop.isPossible() ? [] : ['The C++ loop over bytes is left out: there is no compiler.']),
];

/** What the log is made of, without the log. */
export const native = (settings: Settings): Case[] => [...bytes(settings), ...durableWrites(settings)];

/** The passes over bytes, by the addon and in JavaScript, beside a loop in C++ over the same memory. */
function bytes(settings: Settings): Case[] {
  const loop = BytesLoop.isPossible() ? new BytesLoop(settings.scratch) : undefined;
  const caseOf = (work: BytesWork, name: string, unit: string, yardstick = 'native-loop'): Case => ({
    bench: 'native',
    name,
    unit,
    contestants: [
      ...(available ? [inWorker('walstack/native', work, settings)] : []),
      inWorker('walstack/javascript', work, settings),
      ...(loop === undefined ? [] : [inLoop(yardstick, work, loop, settings)]),
    ],
  });
  return [
    caseOf('crc32c', 'crc32c', 'bytes/s'),
    caseOf('crc32c-100', 'crc32c bytes=100', 'bytes/s'),
    caseOf('seal', 'seal', 'records/s'),
    caseOf('append-seal', 'append+seal', 'records/s'),
    caseOf('scan', 'scan', 'records/s', 'native-scan'),
  ];
}

/**
 * Each in a thread of its own, since the addon is there or not for as long as a thread lives. The thread ends with the
 * process.
 */
function inWorker(subject: string, work: BytesWork, { durationMs }: Settings): Contestant {
  const isNative = subject === 'walstack/native';
  let worker: Worker | undefined;
  return {
    subject,
    prepare: async () => {
      const env = { ...process.env, WALSTACK_NATIVE: isNative ? '' : '0' };
      worker = new Worker(inPackage('dist', 'bytes-worker.js'), { env });
    },
    measure: async () => {
      const answer = await ask(worker as Worker, { work, durationMs });
      if (answer.available !== isNative) throw new Error(`${subject} was not what was measured`);
      return { value: answer.perSecond };
    },
    end: async () => void (await worker?.terminate()),
  };
}

function ask(worker: Worker, question: BytesQuestion): Promise<BytesAnswer> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (answer: BytesAnswer) => {
      worker.off('error', reject);
      resolve(answer);
    });
    worker.postMessage(question);
  });
}

function inLoop(subject: string, work: BytesWork, loop: BytesLoop, { durationMs }: Settings): Contestant {
  return { subject, measure: async () => ({ value: loop.measure(work, durationMs) }) };
}
