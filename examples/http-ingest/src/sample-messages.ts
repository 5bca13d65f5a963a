import { once } from 'node:events';
import type { Message } from './event-stream.js';
import type { Sample, Sampler } from './sampler.js';

/** The first message of a page: what was sampled before. */
export interface Earlier {
  readonly samples: readonly Sample[];
}

/** The samples for a page: a message `earlier`, and then each new one. */
export async function* sampleMessages(sampler: Sampler, signal: AbortSignal): AsyncGenerator<Message> {
  const waiting: Sample[] = [];
  const arrivals = new EventTarget();
  const unlisten = sampler.listen((sample) => {
    waiting.push(sample);
    // A page that does not read gets the last one.
    if (waiting.length > 2) waiting.shift();
    arrivals.dispatchEvent(new Event('sample'));
  });
  try {
    yield { event: 'earlier', data: { samples: sampler.samples } satisfies Earlier };
    while (!signal.aborted) {
      const sample = waiting.shift();
      if (sample === undefined) await once(arrivals, 'sample', { signal }).catch(() => {});
      else yield { data: sample };
    }
  } finally {
    unlisten();
  }
}
