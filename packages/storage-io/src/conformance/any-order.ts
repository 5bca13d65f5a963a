import assert from 'node:assert/strict';
import { WalError } from '@walstack/codec';
import type { IoToken } from '../storage-io.js';
import { assertBytes, bytes, type ConformanceCase, type Subject, turn } from './subject.js';

/** Random numbers below a limit, the same ones in every run. */
export function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * limit);
  };
}

/** The expected content of a file. */
export class Expected {
  bytes = new Uint8Array(0);

  reach(end: number): void {
    if (end > this.bytes.length) this.resize(end);
  }

  resize(length: number): void {
    const resized = new Uint8Array(length);
    resized.set(this.bytes.subarray(0, length));
    this.bytes = resized;
  }

  write(data: Uint8Array, offset: number): void {
    this.reach(offset + data.length);
    this.bytes.set(data, offset);
  }
}

/** Submits as soon as the queue has space. */
async function whenThereIsRoom(subject: Subject, submit: () => IoToken): Promise<IoToken> {
  for (;;) {
    try {
      return subject.submitted(submit());
    } catch (error) {
      if (!WalError.is(error, 'WAL_QUEUE_FULL')) throw error;
      subject.io.flush();
      if (subject.poll() === 0) await turn();
    }
  }
}

const STEPS = 240;
const MOST_BYTES = 40_000;

/** Many operations: one after another in random order, and many at a time. */
export const anyOrder: readonly ConformanceCase[] = [
  {
    name: 'random operations on a file that is opened twice leave the expected content',
    async run(subject) {
      const { io } = subject;
      const below = numbers(1);
      const open = [subject.open('file'), subject.open('file')] as const;
      const expected = new Expected();
      for (let step = 0; step < STEPS; step++) {
        const file = open[below(2)] ?? open[0];
        const { length } = expected.bytes;
        const near = below(Math.min(length + 3000, MOST_BYTES));
        const data = bytes(1 + below(5000), step);
        const what = `step ${step}`;
        switch (below(6)) {
          case 0:
            assert.equal(await subject.result(io.submitAppend(file, data)), data.length, what);
            expected.write(data, length);
            break;
          case 1:
            assert.equal(await subject.result(io.submitTruncate(file, near)), 0, what);
            expected.resize(near);
            break;
          case 2:
            assert.equal(await subject.result(io.submitAllocate(file, near, data.length)), 0, what);
            expected.reach(near + data.length);
            break;
          default:
            await subject.write(file, data, near);
            expected.write(data, near);
        }
        for (const each of open) assert.equal(io.size(each), expected.bytes.length, `${what}: size`);
        const from = below(MOST_BYTES);
        assertBytes(await subject.read(file, from, 6000), expected.bytes.slice(from, from + 6000), what);
      }
      for (const each of open) assertBytes(await subject.read(each, 0, 2 * MOST_BYTES), expected.bytes);
    },
  },
  {
    name: 'of many operations at a time each is carried out, with its own result',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      const expected = new Expected();
      const parts = Array.from({ length: 1000 }, (_, index) => bytes(1 + (index % 7), index));
      const writes: IoToken[] = [];
      for (const [index, part] of parts.entries()) {
        writes.push(await whenThereIsRoom(subject, () => io.submitWrite(file, part, index * 8)));
        expected.write(part, index * 8);
      }
      for (const [index, result] of (await subject.results(...writes)).entries()) {
        assert.equal(result, parts[index]?.length, `write ${index}`);
      }
      assertBytes(await subject.read(file, 0, 10_000), expected.bytes);
      const into = parts.map(({ length }) => new Uint8Array(length));
      const reads: IoToken[] = [];
      for (const [index, memory] of into.entries()) {
        reads.push(await whenThereIsRoom(subject, () => io.submitRead(file, memory, index * 8)));
      }
      for (const [index, result] of (await subject.results(...reads)).entries()) {
        assert.equal(result, parts[index]?.length, `read ${index}`);
        assertBytes(into[index] as Uint8Array, parts[index] as Uint8Array, `read ${index}`);
      }
    },
  },
  {
    name: 'operations on many open files do not change other files',
    async run(subject) {
      const open = Array.from({ length: 100 }, (_, index) => subject.open(`${index}`));
      for (const [index, file] of open.entries()) await subject.write(file, bytes(300, index), 0);
      for (const [index, file] of open.entries()) await subject.result(subject.io.submitAppend(file, bytes(50, index)));
      for (const [index, file] of open.entries()) {
        const content = await subject.read(file, 0, 1000);
        assert.equal(content.length, 350);
        assertBytes(content.subarray(0, 300), bytes(300, index), `file ${index}`);
        assertBytes(content.subarray(300), bytes(50, index), `file ${index}`);
      }
    },
  },
];
