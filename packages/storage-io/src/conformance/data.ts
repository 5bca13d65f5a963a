import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { IoToken } from '../storage-io.js';
import { assertBytes, bytes, type ConformanceCase, type Subject, throwsWal, turn } from './subject.js';

const concatenated = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(parts.flatMap((part) => [...part]));

/** Writing, appending, reading and syncing bytes. */
export const data: readonly ConformanceCase[] = [
  {
    name: 'reading returns what was written',
    async run(subject) {
      const file = subject.open('file');
      for (const length of [1, 7, 512, 4096, 5000]) {
        await subject.write(file, bytes(length, length), 0);
        assertBytes(await subject.read(file, 0, length), bytes(length, length));
      }
    },
  },
  {
    name: 'a write changes its range and nothing else',
    async run(subject) {
      const file = subject.open('file');
      await subject.write(file, bytes(10_000, 1), 0);
      await subject.write(file, bytes(333, 2), 4000);
      const expected = bytes(10_000, 1);
      expected.set(bytes(333, 2), 4000);
      assertBytes(await subject.read(file, 0, 10_000), expected);
      assert.equal(subject.io.size(file), 10_000);
    },
  },
  {
    name: 'a write after the end of the file leaves zeros in between',
    async run(subject) {
      const file = subject.open('file');
      await subject.write(file, bytes(10), 0);
      await subject.write(file, bytes(10), 9000);
      const expected = new Uint8Array(9010);
      expected.set(bytes(10), 0);
      expected.set(bytes(10), 9000);
      assertBytes(await subject.read(file, 0, 9010), expected);
    },
  },
  {
    name: 'a read at the end of the file is short, and after it empty',
    async run(subject) {
      const file = subject.open('file');
      await subject.write(file, bytes(100), 0);
      assertBytes(await subject.read(file, 40, 1000), bytes(100).slice(40));
      assert.equal((await subject.read(file, 100, 10)).length, 0);
      assert.equal((await subject.read(file, 5000, 10)).length, 0);
      assert.equal((await subject.read(file, 2 ** 40, 10)).length, 0);
    },
  },
  {
    name: 'a short read does not change the rest of its memory',
    async run(subject) {
      const file = subject.open('file');
      await subject.write(file, bytes(10), 0);
      const memory = new Uint8Array(60).fill(0xee);
      assert.equal(await subject.result(subject.io.submitRead(file, memory.subarray(20, 40), 0)), 10);
      const expected = new Uint8Array(60).fill(0xee);
      expected.set(bytes(10), 20);
      assertBytes(memory, expected);
    },
  },
  {
    name: 'views of a larger buffer are written exactly',
    async run(subject) {
      const file = subject.open('file');
      const memory = Buffer.from(bytes(1000));
      await subject.write(file, memory.subarray(100, 300), 0);
      await subject.write(file, new Uint8Array(memory.buffer, memory.byteOffset + 500, 50), 200);
      assertBytes(
        await subject.read(file, 0, 999),
        concatenated([bytes(1000).slice(100, 300), bytes(1000).slice(500, 550)]),
      );
    },
  },
  {
    name: 'the memory of a write is not changed',
    async run(subject) {
      const file = subject.open('file');
      const memory = bytes(3000);
      const tokens = [
        subject.io.submitWrite(file, memory.subarray(1, 2000), 0),
        subject.io.submitAppend(file, memory.subarray(10, 2500)),
      ];
      await subject.results(...tokens);
      assertBytes(memory, bytes(3000));
    },
  },
  {
    name: 'the memory of a write can be reused when it has completed',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      const appended = subject.open('appended');
      const durable = io.capabilities.durableWrites;
      const lent = [1, 2, 3].map((seed) => bytes(70_000, seed));
      const [plain, end, last] = lent as [Uint8Array, Uint8Array, Uint8Array];
      const tokens = [
        io.submitWrite(file, plain, 0),
        io.submitAppend(appended, end),
        io.submitWrite(file, last, 70_000, { durable }),
      ].map((token) => subject.submitted(token));
      for (const [index, token] of tokens.entries()) {
        assert.equal(await subject.result(token), 70_000);
        lent[index]?.fill(0xee);
      }
      for (let round = 0; round < 20; round++) await turn();
      await subject.results(io.submitDatasync(file), io.submitDatasync(appended));
      assertBytes(await subject.read(file, 0, 200_000), concatenated([bytes(70_000, 1), bytes(70_000, 3)]));
      assertBytes(await subject.read(appended, 0, 200_000), bytes(70_000, 2));
    },
  },
  {
    name: 'writes and reads of 0 bytes have the result 0, and no file grows',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      const none = new Uint8Array(0);
      const tokens = [io.submitWrite(file, none, 0), io.submitWrite(file, none, 5000), io.submitAppend(file, none)];
      assert.deepEqual(await subject.results(...tokens), [0, 0, 0]);
      assert.equal(io.size(file), 0);
      await subject.write(file, bytes(10), 0);
      assert.equal(await subject.result(io.submitRead(file, none, 5)), 0);
      assert.equal(await subject.result(io.submitWrite(file, none, 3)), 0);
      assertBytes(await subject.read(file, 0, 20), bytes(10));
    },
  },
  {
    name: 'several MiB are written and read by one operation',
    async run(subject) {
      const file = subject.open('file');
      const large = bytes(9 * 1024 * 1024 + 13);
      await subject.write(file, large, 777);
      assert.equal(subject.io.size(file), 777 + large.length);
      assertBytes(await subject.read(file, 777, large.length), large);
    },
  },
  {
    name: 'reading returns what was written many MiB after the beginning of a file',
    async run(subject) {
      const file = subject.open('file');
      // Holes of real files take no space, but on Windows.
      const far = subject.io.capabilities.realFiles && process.platform !== 'win32' ? [2048, 4096, 4096 + 33] : [];
      const places = [8, 16, 33, ...far];
      for (const [seed, mebibytes] of places.entries()) {
        const at = mebibytes * 1024 * 1024 - 500;
        await subject.write(file, bytes(1000, seed), at);
        assertBytes(await subject.read(file, at, 2000), bytes(1000, seed), `${mebibytes} MiB`);
      }
      for (const [seed, mebibytes] of places.entries()) {
        const content = await subject.read(file, mebibytes * 1024 * 1024 - 500, 1000);
        assertBytes(content, bytes(1000, seed), `${mebibytes} MiB, when all are written`);
      }
    },
  },
  {
    name: 'size counts every write that has completed',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      assert.equal(io.size(file), 0);
      await subject.write(file, bytes(100), 0);
      assert.equal(io.size(file), 100);
      await subject.write(file, bytes(100), 50);
      assert.equal(io.size(file), 150);
      await subject.result(io.submitAppend(file, bytes(7)));
      assert.equal(io.size(file), 157);
    },
  },
  {
    name: 'appends take effect in the order of submission',
    async run(subject) {
      const file = subject.open('file');
      const parts = Array.from({ length: 40 }, (_, index) => bytes(1 + ((index * 397) % 3000), index));
      const tokens = parts.map((part) => subject.submitted(subject.io.submitAppend(file, part)));
      assert.deepEqual(
        await subject.results(...tokens),
        parts.map((part) => part.length),
      );
      assertBytes(await subject.read(file, 0, 200_000), concatenated(parts));
    },
  },
  {
    name: 'an append starts at the end of the file',
    async run(subject) {
      await subject.make('file', bytes(1000, 1));
      const file = subject.open('file');
      await subject.result(subject.io.submitAppend(file, bytes(10, 2)));
      await subject.write(file, bytes(10, 3), 2000);
      await subject.result(subject.io.submitAppend(file, bytes(10, 4)));
      const expected = concatenated([bytes(1000, 1), bytes(10, 2), new Uint8Array(990), bytes(10, 3), bytes(10, 4)]);
      assertBytes(await subject.read(file, 0, 3000), expected);
    },
  },
  {
    name: 'appends to several files at a time do not change other files',
    async run(subject) {
      const { io } = subject;
      const files = ['a', 'b', 'c', 'd'].map((name) => subject.open(name));
      const tokens: IoToken[] = [];
      const expected = files.map((_, index) => concatenated([bytes(500, index), bytes(500, index + 10)]));
      for (const part of [0, 10]) {
        for (const [index, file] of files.entries()) {
          tokens.push(subject.submitted(io.submitAppend(file, bytes(500, index + part))));
        }
      }
      await subject.results(...tokens);
      for (const [index, file] of files.entries()) {
        assertBytes(await subject.read(file, 0, 2000), expected[index] as Uint8Array, `file ${index}`);
      }
    },
  },
  {
    name: 'writes to different places of one file may be in flight at the same time',
    async run(subject) {
      const file = subject.open('file');
      const order = [3, 0, 7, 1, 6, 2, 5, 4];
      const tokens = order.map((block) =>
        subject.submitted(subject.io.submitWrite(file, bytes(4096, block), block * 4096)),
      );
      await subject.results(...tokens);
      const expected = concatenated([0, 1, 2, 3, 4, 5, 6, 7].map((block) => bytes(4096, block)));
      assertBytes(await subject.read(file, 0, 40_000), expected);
    },
  },
  {
    name: 'reads may be in flight at the same time',
    async run(subject) {
      const file = subject.open('file');
      await subject.write(file, bytes(64 * 1024), 0);
      const parts = Array.from({ length: 16 }, () => new Uint8Array(4096));
      const tokens = parts.map((part, index) => subject.submitted(subject.io.submitRead(file, part, index * 4096)));
      for (const result of await subject.results(...tokens)) assert.equal(result, 4096);
      assertBytes(concatenated(parts), bytes(64 * 1024));
    },
  },
  {
    name: 'two files opened on one path see each other',
    async run(subject) {
      const one = subject.open('file');
      const two = subject.open('file');
      await subject.write(one, bytes(100), 0);
      assertBytes(await subject.read(two, 0, 200), bytes(100));
      assert.equal(subject.io.size(two), 100);
    },
  },
  {
    name: 'datasync completes with 0',
    async run(subject) {
      const file = subject.open('file');
      assert.equal(await subject.result(subject.io.submitDatasync(file)), 0);
      await subject.write(file, bytes(5000), 0);
      assert.equal(await subject.result(subject.io.submitDatasync(file)), 0);
      assertBytes(await subject.read(file, 0, 5000), bytes(5000));
    },
  },
  {
    name: 'durable writes work where the backend claims them, and are WAL_UNSUPPORTED elsewhere',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      if (io.capabilities.durableWrites) {
        assert.equal(await subject.result(io.submitWrite(file, bytes(100), 5, { durable: true })), 100);
        assertBytes(await subject.read(file, 5, 200), bytes(100));
        for (const length of [1, 511, 512, 513, 4095, 4096, 4097, 70_001, 9 * 1024 * 1024 + 13]) {
          const other = subject.open(`${length}`);
          assert.equal(await subject.result(io.submitWrite(other, bytes(length), 0, { durable: true })), length);
          assertBytes(await subject.read(other, 0, length + 1), bytes(length), `${length} bytes`);
        }
      } else {
        throwsWal('WAL_UNSUPPORTED', () => io.submitWrite(file, bytes(100), 0, { durable: true }));
        assert.equal(io.pending, 0);
        assert.equal(io.size(file), 0);
      }
      assert.equal(await subject.result(io.submitWrite(file, bytes(10), 0, { durable: false })), 10);
    },
  },
  {
    name: 'submitTruncate shortens a file, and extends it with zeros',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      await subject.write(file, bytes(6000), 0);
      assert.equal(await subject.result(io.submitTruncate(file, 1000)), 0);
      assert.equal(io.size(file), 1000);
      assert.equal(await subject.result(io.submitTruncate(file, 9000)), 0);
      const expected = new Uint8Array(9000);
      expected.set(bytes(6000).slice(0, 1000));
      assertBytes(await subject.read(file, 0, 10_000), expected);
      assert.equal(await subject.result(io.submitTruncate(file, 0)), 0);
      assert.equal(io.size(file), 0);
      await subject.result(io.submitAppend(file, bytes(5)));
      assertBytes(await subject.read(file, 0, 10), bytes(5));
    },
  },
  ...['empty', 'shorter', 'overlapping', 'longer'].map(
    (kind, index): ConformanceCase => ({
      name: `submitAllocate extends a file to its end and changes no content: ${kind} file`,
      run: (subject) => allocates(subject, [0, 3000, 12_000, 30_000][index] as number),
    }),
  ),
  {
    name: 'submitAllocate does not overwrite a write that is in flight',
    async run(subject) {
      const { io } = subject;
      const expected = new Uint8Array(1_000_000);
      expected.set(bytes(5000), 100);
      for (const order of ['write first', 'allocate first']) {
        const file = subject.open(order);
        const submits = [() => io.submitWrite(file, bytes(5000), 100), () => io.submitAllocate(file, 0, 1_000_000)];
        if (order === 'allocate first') submits.reverse();
        await subject.results(...submits.map((submit) => submit()));
        assertBytes(await subject.read(file, 0, 1_000_010), expected, order);
      }
    },
  },
  {
    name: 'a real file has exactly the bytes that were written',
    async run(subject) {
      if (!subject.io.capabilities.realFiles) return;
      const file = subject.open('file');
      await subject.write(file, bytes(10_000), 0);
      await subject.result(subject.io.submitAppend(file, bytes(500, 2)));
      assertBytes(readFileSync(subject.path('file')), concatenated([bytes(10_000), bytes(500, 2)]));
    },
  },
];

async function allocates(subject: Subject, size: number): Promise<void> {
  const { io } = subject;
  const file = subject.open('file');
  await subject.write(file, bytes(size), 0);
  assert.equal(await subject.result(io.submitAllocate(file, 8192, 12_288)), 0);
  const end = Math.max(size, 20_480);
  assert.equal(io.size(file), end);
  const expected = new Uint8Array(end);
  expected.set(bytes(size));
  assertBytes(await subject.read(file, 0, end + 10), expected);
}
