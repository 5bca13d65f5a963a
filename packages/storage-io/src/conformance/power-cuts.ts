import assert from 'node:assert/strict';
import type { IoFile, WriteOptions } from '../storage-io.js';
import { assertBytes, bytes, type ConformanceCase, type Subject } from './subject.js';

/** Lengths around sectors, blocks, and the pieces that writes may be cut into. */
const LENGTHS = [1, 511, 512, 513, 4095, 4096, 4097, 70_001];
const LARGE = 9 * 1024 * 1024 + 13;
export const DURABLE: WriteOptions = { durable: true };

/** Makes a file whose name survives. */
export async function named(subject: Subject, name: string, content: Uint8Array = new Uint8Array(0)): Promise<IoFile> {
  const file = subject.open(name);
  if (content.length > 0) await subject.write(file, content, 0);
  await synced(subject, file);
  await directorySynced(subject);
  return file;
}

export async function synced(subject: Subject, file: IoFile): Promise<void> {
  assert.equal(await subject.result(subject.io.submitDatasync(file)), 0);
}

export async function directorySynced(subject: Subject, path = subject.directory): Promise<void> {
  assert.equal(await subject.result(subject.io.submitSyncDirectory(path)), 0);
}

export async function durablyWritten(subject: Subject, file: IoFile, data: Uint8Array, offset: number): Promise<void> {
  assert.equal(await subject.result(subject.io.submitWrite(file, data, offset, DURABLE)), data.length);
}

/** Changes of the names `a` and `b` in a directory, and the names behind each. */
const NAME_CHANGES: readonly (readonly [
  change: string,
  make: (subject: Subject) => unknown,
  expected: readonly string[],
])[] = [
  ['a file was removed', (subject) => subject.result(subject.io.submitRemove(subject.path('b'))), ['a']],
  ['a file was renamed', (subject) => subject.io.rename(subject.path('a'), subject.path('c')), ['b', 'c']],
  ['a file was replaced by another one', (subject) => subject.io.rename(subject.path('a'), subject.path('b')), ['b']],
  ['a directory was made', (subject) => subject.io.makeDirectory(subject.path('c')), ['a', 'b', 'c']],
];

/** What a sync, a durable write or the sync of a directory has covered is there after a power cut. */
export const powerCuts: readonly ConformanceCase[] = (
  [
    {
      name: 'a power cut drops what was not synced: otherwise the following cases would show nothing',
      async run(subject) {
        const file = await named(subject, 'file', bytes(5000, 1));
        await subject.write(file, bytes(5000, 2), 0);
        await subject.write(file, bytes(5000, 2), 5000);
        await subject.make('unnamed', bytes(100));
        const after = await subject.afterPowerCut();
        assertBytes((await after.content('file')).subarray(0, 5000), bytes(5000, 1));
        assert.deepEqual(after.io.list(after.directory), ['file']);
      },
    },
    {
      name: 'a datasync makes durable the data and the size of the file',
      async run(subject) {
        for (const length of LENGTHS) {
          const file = await named(subject, `${length}`);
          await subject.write(file, bytes(length, length), 0);
          await synced(subject, file);
        }
        const after = await subject.afterPowerCut();
        for (const length of LENGTHS) assertBytes(await after.content(`${length}`), bytes(length, length), `${length}`);
      },
    },
    {
      name: 'a datasync makes durable every write of its file: scattered, appended, overwriting',
      async run(subject) {
        const { io } = subject;
        const file = await named(subject, 'file', bytes(20_000, 1));
        const tokens = [9000, 100, 40_000, 16_384].map((at) => io.submitWrite(file, bytes(3000, 2), at));
        await subject.results(...tokens);
        await subject.result(io.submitAppend(file, bytes(700, 3)));
        const expected = await subject.read(file, 0, 50_000);
        assert.equal(expected.length, 43_700);
        await synced(subject, file);
        const after = await subject.afterPowerCut();
        assertBytes(await after.content('file'), expected);
      },
    },
    {
      name: 'a datasync makes durable what was written after the one before it',
      async run(subject) {
        const file = await named(subject, 'file');
        for (const part of [0, 1, 2, 3]) {
          await subject.write(file, bytes(1000, part), part * 1000);
          await synced(subject, file);
        }
        const after = await subject.afterPowerCut();
        const content = await after.content('file');
        assert.equal(content.length, 4000);
        for (const part of [0, 1, 2, 3]) {
          assertBytes(content.subarray(part * 1000, part * 1000 + 1000), bytes(1000, part), `part ${part}`);
        }
      },
    },
    {
      name: 'a datasync covers all writes before it, also while another datasync is in flight',
      async run(subject) {
        const { io } = subject;
        const file = await named(subject, 'file');
        let blocks = 0;
        // Repeated until a write has completed before a sync that was submitted earlier, which does not happen on every
        // backend.
        for (let besideAnother = false; blocks < 64 && !besideAnother; blocks += 2) {
          await subject.write(file, bytes(4096, blocks), blocks * 4096);
          const first = subject.submitted(io.submitDatasync(file));
          await subject.write(file, bytes(4096, blocks + 1), (blocks + 1) * 4096);
          besideAnother = !subject.hasCompleted(first);
          const second = subject.submitted(io.submitDatasync(file));
          for (const result of await subject.results(first, second)) assert.equal(result, 0);
        }
        const after = await subject.afterPowerCut();
        const content = await after.content('file');
        assert.equal(content.length, blocks * 4096);
        for (let block = 0; block < blocks; block++) {
          assertBytes(content.subarray(block * 4096, (block + 1) * 4096), bytes(4096, block), `block ${block}`);
        }
      },
    },
    {
      name: 'a datasync makes durable many MiB, and what is written after them',
      async run(subject) {
        const file = await named(subject, 'file');
        await subject.write(file, bytes(LARGE, 1), 0);
        await subject.write(file, bytes(1000, 2), 2 * LARGE);
        await synced(subject, file);
        const after = await subject.afterPowerCut();
        const content = await after.content('file');
        assertBytes(content.subarray(0, LARGE), bytes(LARGE, 1));
        assertBytes(content.subarray(2 * LARGE), bytes(1000, 2));
      },
    },
    {
      name: 'a datasync makes durable the size after truncating, extending and allocating',
      async run(subject) {
        const { io } = subject;
        const [cut, extended, allocated] = [
          await named(subject, 'cut', bytes(6000)),
          await named(subject, 'extended', bytes(10)),
          await named(subject, 'allocated', bytes(10)),
        ];
        assert.equal(await subject.result(io.submitTruncate(cut, 1000)), 0);
        assert.equal(await subject.result(io.submitTruncate(extended, 9000)), 0);
        assert.equal(await subject.result(io.submitAllocate(allocated, 0, 20_000)), 0);
        for (const file of [cut, extended, allocated]) await synced(subject, file);
        const after = await subject.afterPowerCut();
        assertBytes(await after.content('cut'), bytes(6000).slice(0, 1000));
        assertBytes(await after.content('extended'), padded(bytes(10), 9000));
        assertBytes(await after.content('allocated'), padded(bytes(10), 20_000));
      },
    },
    {
      name: 'a datasync makes durable what was appended to a file',
      async run(subject) {
        const file = await named(subject, 'file', bytes(1000, 1));
        assert.equal(await subject.result(subject.io.submitAppend(file, bytes(700, 2))), 700);
        await synced(subject, file);
        const content = await (await subject.afterPowerCut()).content('file');
        assert.equal(content.length, 1700);
        assertBytes(content.subarray(1000), bytes(700, 2));
      },
    },
    {
      name: 'a datasync makes durable that open with truncate has emptied the file',
      async run(subject) {
        subject.io.close(await named(subject, 'file', bytes(6000)));
        await synced(subject, subject.open('file', { truncate: true }));
        assert.equal((await (await subject.afterPowerCut()).content('file')).length, 0);
      },
    },
    {
      name: 'a datasync makes durable the writes before and after a durable write',
      async run(subject) {
        if (!subject.io.capabilities.durableWrites) return;
        const file = await named(subject, 'file', bytes(3 * 4096, 1));
        await subject.write(file, bytes(4096, 2), 0);
        await durablyWritten(subject, file, bytes(4096, 3), 4096);
        await synced(subject, file);
        const other = await named(subject, 'other', bytes(3 * 4096, 1));
        await durablyWritten(subject, other, bytes(4096, 3), 4096);
        await subject.write(other, bytes(4096, 2), 8192);
        await synced(subject, other);
        const after = await subject.afterPowerCut();
        assertBytes((await after.content('file')).subarray(0, 4096), bytes(4096, 2), 'before');
        assertBytes((await after.content('other')).subarray(8192), bytes(4096, 2), 'behind');
      },
    },
    {
      name: 'a durable write is durable when it completes, whatever its length',
      async run(subject) {
        if (!subject.io.capabilities.durableWrites) return;
        for (const length of LENGTHS) {
          const grown = await named(subject, `grown ${length}`);
          const overwritten = await named(subject, `overwritten ${length}`, bytes(100_000, 1));
          await durablyWritten(subject, grown, bytes(length, length), 0);
          await durablyWritten(subject, overwritten, bytes(length, length), 4096);
        }
        const after = await subject.afterPowerCut();
        for (const length of LENGTHS) {
          assertBytes(await after.content(`grown ${length}`), bytes(length, length), `grown ${length}`);
          const expected = bytes(100_000, 1);
          expected.set(bytes(length, length), 4096);
          assertBytes(await after.content(`overwritten ${length}`), expected, `overwritten ${length}`);
        }
      },
    },
    {
      name: 'a durable write of many MiB is durable to its end',
      async run(subject) {
        if (!subject.io.capabilities.durableWrites) return;
        const file = await named(subject, 'file');
        await durablyWritten(subject, file, bytes(LARGE), 4096);
        const after = await subject.afterPowerCut();
        assertBytes((await after.content('file')).subarray(4096), bytes(LARGE));
      },
    },
    {
      name: 'of several durable writes in flight each is durable',
      async run(subject) {
        if (!subject.io.capabilities.durableWrites) return;
        const file = await named(subject, 'file', bytes(8 * 4096, 1));
        const order = [3, 0, 7, 1, 6, 2, 5, 4];
        const tokens = order.map((block) =>
          subject.io.submitWrite(file, bytes(4096, block + 10), block * 4096, DURABLE),
        );
        for (const result of await subject.results(...tokens)) assert.equal(result, 4096);
        const content = await (await subject.afterPowerCut()).content('file');
        for (const block of order) {
          assertBytes(content.subarray(block * 4096, block * 4096 + 4096), bytes(4096, block + 10), `block ${block}`);
        }
      },
    },
    {
      name: 'the sync of a directory makes names durable: made, renamed, replaced, removed',
      async run(subject) {
        const { io } = subject;
        for (const name of ['old', 'from', 'to', 'gone']) io.close(await named(subject, name, bytes(100, name.length)));
        const made = subject.open('made');
        await synced(subject, made);
        io.rename(subject.path('old'), subject.path('new'));
        io.rename(subject.path('from'), subject.path('to'));
        assert.equal(await subject.result(io.submitRemove(subject.path('gone'))), 0);
        await directorySynced(subject);
        const after = await subject.afterPowerCut();
        assert.deepEqual(after.io.list(after.directory), ['made', 'new', 'to']);
        assertBytes(await after.content('new'), bytes(100, 3));
        assertBytes(await after.content('to'), bytes(100, 4));
      },
    },
    ...NAME_CHANGES.map(
      ([change, make, expected]): ConformanceCase => ({
        name: `the sync of a directory makes a single change durable: ${change}`,
        async run(subject) {
          for (const name of ['a', 'b']) subject.io.close(await named(subject, name, bytes(100, name.charCodeAt(0))));
          await make(subject);
          await directorySynced(subject);
          const after = await subject.afterPowerCut();
          assert.deepEqual(after.io.list(after.directory), expected);
          if (!expected.includes('b')) return;
          const was = expected.length === 1 ? 'a' : 'b';
          assertBytes(await after.content('b'), bytes(100, was.charCodeAt(0)));
        },
      }),
    ),
    {
      name: 'the sync of a directory makes durable the names made after the sync before it',
      async run(subject) {
        for (const name of ['a', 'b', 'c']) {
          subject.io.close(subject.open(name));
          await directorySynced(subject);
        }
        const after = await subject.afterPowerCut();
        assert.deepEqual(after.io.list(after.directory), ['a', 'b', 'c']);
      },
    },
    {
      name: 'a directory is found when its parent was synced, and its files when it was synced itself',
      async run(subject) {
        const { io } = subject;
        const directory = subject.path('directory');
        io.makeDirectory(directory);
        await directorySynced(subject);
        const file = subject.open('directory/file');
        await subject.write(file, bytes(100), 0);
        await synced(subject, file);
        await directorySynced(subject, directory);
        const after = await subject.afterPowerCut();
        assert.deepEqual(after.io.list(directory), ['file']);
        assertBytes(await after.content('directory/file'), bytes(100));
      },
    },
  ] satisfies readonly ConformanceCase[]
).map((each) => ({ ...each, needs: 'power cut' }));

/** Bytes followed by zeros. */
function padded(content: Uint8Array, length: number): Uint8Array {
  const all = new Uint8Array(length);
  all.set(content);
  return all;
}
