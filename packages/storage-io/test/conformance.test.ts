import { fromAsyncFileOps, fromSyncFileOps } from '@walstack/storage-io';
import { type ConformanceCreateOptions, storageIoConformance } from '@walstack/storage-io/conformance';
import { describe, expect, test } from 'vitest';
import { backends, otherProcessOf } from './backends.js';
import { withDirect } from './direct-ops.js';
import {
  atOnce,
  inATurn,
  newestFirst,
  TinyFiles,
  tiny,
  tinyAsync,
  tinyAsyncOps,
  tinySync,
  tinySyncOps,
} from './tiny-ops.js';

/** Half of what could be moved, and every third call interrupted. */
function awkward(files: TinyFiles): void {
  files.piece = (length) => Math.ceil(length / 2);
  files.fault = (operation, count) => {
    if (operation !== 'read' && operation !== 'write') return undefined;
    return count % 3 === 0 ? (count % 2 === 0 ? 'EINTR' : 'EAGAIN') : undefined;
  };
}

const byHand = {
  'by hand, synchronous': tiny(tinySync),
  'by hand, synchronous, short and interrupted': tiny(tinySync, awkward),
  'by hand, calling back in a turn': tiny(tinyAsync(() => inATurn)),
  'by hand, calling back at once': tiny(tinyAsync(() => atOnce)),
  'by hand, calling back newest first': tiny(tinyAsync(newestFirst)),
  'by hand, calling back, short and interrupted': tiny(tinyAsync(newestFirst), awkward),
  'by hand, synchronous, direct and durable': tiny((files, options) =>
    fromSyncFileOps(withDirect({ ...tinySyncOps(files), writeDurable: files.write.bind(files) }), options),
  ),
  'by hand, calling back, direct': tiny((files, options) =>
    fromAsyncFileOps(withDirect(tinyAsyncOps(files, newestFirst())), options),
  ),
};

for (const [name, create] of Object.entries(backends)) {
  const otherProcess = otherProcessOf(name);
  describe(name, () => storageIoConformance({ test, create, ...(otherProcess === undefined ? {} : { otherProcess }) }));
}
for (const [name, create] of Object.entries(byHand)) {
  describe(name, () => storageIoConformance({ test, create }));
}

test('a suite whose backends have no second one says so, or has no case that needs one', async () => {
  const suite = (alone: boolean): Map<string, () => Promise<void>> => {
    const tests = new Map<string, () => Promise<void>>();
    const create = (options?: ConformanceCreateOptions) => ({
      io: tinySync(new TinyFiles(), options),
      directory: 'd',
    });
    storageIoConformance({ test: (name, run) => tests.set(name, run), alone, create });
    return tests;
  };
  const [declared, alone] = [suite(false), suite(true)];
  await expect(declared.get('locks: a lock excludes another backend')?.()).rejects.toThrow('needs a second backend');
  expect(alone.has('locks: a lock excludes another backend')).toBe(false);
  expect(alone.size).toBeLessThan(declared.size);
  for (const run of alone.values()) await run();
});
