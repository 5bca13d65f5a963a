import type { CoreEntry } from '@walstack/percore';
import { text } from '../../../../harness/test-kit/text.js';

/** An entry without its place, for comparing. */
export function contentOf(entry: CoreEntry): unknown {
  switch (entry.operation) {
    case 'put':
      return ['put', text(entry.key), text(entry.value)];
    case 'delete':
      return ['delete', text(entry.key)];
    case 'checkpoint':
      return ['checkpoint', entry.checkpointId];
    case 'epochBarrier':
      return entry.last ? ['epochBarrier', entry.epoch, 'last'] : ['epochBarrier', entry.epoch];
    case 'commit':
      return ['commit', Object.fromEntries(entry.offsets), entry.watermark];
  }
}

/** What the application appended, without barriers. */
export const contentsOf = (entries: Iterable<CoreEntry>): unknown[] =>
  [...entries].filter(({ operation }) => operation !== 'epochBarrier').map(contentOf);
