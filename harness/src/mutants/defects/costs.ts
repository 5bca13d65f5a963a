import type { Defect } from '../defect.js';
import { SEGMENTED, STORAGE_IO, WAL } from './folders.js';

const COST_PER_CALL_TEST = 'packages/wal/test/cost-per-call.test.ts';
const LIST_TEST = 'packages/segmented/test/segment-list.test.ts';

/** Defects in what calls cost, where there are many of something. */
export const COSTS_DEFECTS: readonly Defect[] = [
  {
    name: 'queue-searched-on-leaving',
    test: COST_PER_CALL_TEST,
    breaks: 'Entering and leaving the queue for room cost the same however long it is.',
    file: `${WAL}/commit/room-queue.ts`,
    find: '    const { before, after } = waiter;\n',
    replace: '    Array.from({ length: this.#size }).indexOf(waiter);\n    const { before, after } = waiter;\n',
  },
  {
    name: 'waiters-sorted-each-time',
    test: COST_PER_CALL_TEST,
    breaks: 'In whatever order calls wait for durability, none searches through all others.',
    file: `${WAL}/commit/binary-heap.ts`,
    find: '    let at = items.push(item) - 1;\n',
    replace: `    items.splice(items.filter((each) => this.#isBefore(each, item)).length, 0, item);
    if (items.length > 0) return;
    let at = 0;
`,
  },
  {
    name: 'listener-for-each-call',
    test: COST_PER_CALL_TEST,
    breaks: 'A signal has one listener, however many calls wait on it.',
    file: `${STORAGE_IO}/errors/aborting.ts`,
    find: '    listening.set(signal, present);\n',
    replace: '',
  },
  {
    name: 'segments-searched-one-by-one',
    test: LIST_TEST,
    breaks: 'A segment is found by binary search.',
    file: `${SEGMENTED}/segments/segment-list.ts`,
    find: '  while (low < high) {\n    const middle = (low + high) >>> 1;',
    replace: '  while (low < high) {\n    const middle = low;',
  },
  {
    name: 'compressed-in-part',
    test: 'packages/segmented/test/moved-memory.test.ts',
    breaks: 'All bytes of an array are compressed, whatever length its class reports.',
    file: 'packages/codec/src/payload/compression.ts',
    find: 'return isUsual && !OVERRIDDEN.some((name) => Object.hasOwn(bytes, name)) ? bytes : new Uint8Array(bytes);',
    replace: 'return isUsual ? new Uint8Array(bytes) : bytes;',
  },
  {
    name: 'compressed-by-what-it-says',
    test: 'packages/segmented/test/moved-memory.test.ts',
    breaks: 'Compressing an array calls none of its functions.',
    file: 'packages/codec/src/payload/compression.ts',
    find: 'return isUsual && !OVERRIDDEN.some((name) => Object.hasOwn(bytes, name)) ? bytes : new Uint8Array(bytes);',
    replace: 'return isUsual ? bytes : new Uint8Array(bytes);',
  },
  {
    name: 'decompressed-in-a-larger-memory',
    test: 'packages/codec/test/payload-memory.test.ts',
    breaks: 'A decompressed payload keeps no larger piece of memory.',
    file: 'packages/codec/src/payload/compression.ts',
    find: "return payload.length > limit ? 'too-large' : inOwnMemory(payload);",
    replace: "return payload.length > limit ? 'too-large' : payload;",
  },
  {
    name: 'key-requested-again',
    test: 'packages/codec/test/key-ring.test.ts',
    breaks: 'Calls that need a key at the same time wait for one answer.',
    file: 'packages/codec/src/encryption/key-ring.ts',
    find: '    this.#loading.set(id, loading);\n',
    replace: '',
  },
  {
    name: 'key-service-without-a-text',
    test: 'packages/codec/test/key-ring.test.ts',
    breaks: 'Whatever a key service throws, the call rejects with an error of the log.',
    file: 'packages/codec/src/encryption/key-ring.ts',
    find: `  } catch {
    return 'it threw a value that cannot be converted to text';
  }`,
    replace: '  } finally {\n  }',
  },
  {
    name: 'caution-not-announced',
    test: 'packages/segmented/test/diagnostics.test.ts',
    breaks: 'Opening a log on a file system that weakens its guarantees announces that.',
    file: `${SEGMENTED}/log-diagnostics.ts`,
    find: '    if (channels.caution.hasSubscribers) announceCaution(environment, directory);\n',
    replace: '',
  },
];
