import assert from 'node:assert/strict';
import { CompletionBuffer } from '../completion-buffer.js';
import { assertBytes, bytes, type ConformanceCase, type Subject, throwsWal, turn } from './subject.js';

/** The properties of a backend, and its disposal. */
export const lifecycle: readonly ConformanceCase[] = [
  {
    name: 'a backend has a name and capabilities',
    run({ io }) {
      assert.ok(typeof io.name === 'string' && io.name !== '');
      for (const can of [
        'overlappedWrites',
        'durableWrites',
        'completesInline',
        'canWait',
        'realFiles',
        'fileLocks',
      ] as const) {
        assert.equal(typeof io.capabilities[can], 'boolean', can);
      }
    },
  },
  {
    name: 'after dispose every call except stats is WAL_CLOSED',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      const path = subject.path('file');
      await subject.write(file, bytes(10), 0);
      await io.dispose();
      const out = new CompletionBuffer();
      for (const call of [
        () => io.open(path),
        () => io.close(file),
        () => io.size(file),
        () => io.list(subject.directory),
        () => io.rename(path, `${path}2`),
        () => io.makeDirectory(`${path}3`),
        () => io.stat(path),
        () => io.lock(`${path}4`),
        () => io.lockFile(file, 'shared'),
        () => io.submitWrite(file, bytes(1), 0),
        () => io.submitAppend(file, bytes(1)),
        () => io.submitRead(file, bytes(1), 0),
        () => io.submitDatasync(file),
        () => io.submitSyncDirectory(subject.directory),
        () => io.submitTruncate(file, 0),
        () => io.submitAllocate(file, 0, 1),
        () => io.submitRemove(path),
        () => io.flush(),
        () => io.pollCompletions(out),
        () => io.waitCompletions(out, 1),
        () => io.onReady(() => {}),
        () => io.allocateBuffer(1),
      ]) {
        throwsWal('WAL_CLOSED', call);
      }
      assert.equal(io.stats().submitted, 1);
      assert.equal(io.stats().inFlight, 0);
      assert.equal(io.pending, 0);
    },
  },
  {
    name: 'dispose may be called again',
    async run({ io }) {
      await Promise.all([io.dispose(), io.dispose()]);
      await io.dispose();
      await io[Symbol.asyncDispose]();
    },
  },
  {
    name: 'dispose waits for operations in flight, and refuses new ones',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      const beside = subject.open('beside');
      for (let part = 0; part < 20; part++) io.submitAppend(file, bytes(1000, part));
      io.submitWrite(beside, bytes(3000), 0);
      io.submitDatasync(file);
      const disposed = io.dispose();
      throwsWal('WAL_CLOSED', () => io.submitAppend(file, bytes(1)));
      await disposed;
      assert.equal(io.stats().completed, 22);
      assert.equal(io.stats().inFlight, 0);
      assert.equal(io.stats().bytesWritten, 23_000);
      const other = subject.another();
      if (other === undefined) return;
      const content = await other.content('file');
      for (let part = 0; part < 20; part++) {
        assertBytes(content.subarray(part * 1000, part * 1000 + 1000), bytes(1000, part), `append ${part}`);
      }
      assertBytes(await other.content('beside'), bytes(3000));
    },
  },
  {
    name: 'dispose calls the listener for everything that completes before it ends',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      const small = new CompletionBuffer(3);
      io.onReady(() => subject.completed(small, io.pollCompletions(small)));
      const tokens = Array.from({ length: 30 }, (_, part) => subject.submitted(io.submitWrite(file, bytes(10), part)));
      await io.dispose();
      for (const token of tokens) assert.equal(subject.resultOf(token), 10);
      assert.equal(io.pending, 0);
    },
  },
  {
    name: 'dispose drops completions that were not polled, and calls no listener afterwards',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      let calls = 0;
      io.onReady(() => {
        calls += 1;
      });
      for (let part = 0; part < 5; part++) io.submitWrite(file, bytes(10), part);
      await io.dispose();
      calls = 0;
      for (let round = 0; round < 5; round++) await turn();
      assert.equal(calls, 0);
      assert.equal(io.pending, 0);
      assert.equal(io.stats().completed, 5);
    },
  },
  {
    name: 'another backend sees completed writes while this one is open',
    needs: 'another',
    async run(subject) {
      const other = subject.another() as Subject;
      const file = subject.open('file');
      for (const part of [0, 1, 2]) {
        await subject.write(file, bytes(1000, part), part * 1000);
        const theirs = other.open('file', {});
        assert.equal(other.io.size(theirs), (part + 1) * 1000);
        assertBytes(await other.read(theirs, part * 1000, 2000), bytes(1000, part), `part ${part}`);
        other.io.close(theirs);
        assert.equal(await subject.result(subject.io.submitAppend(subject.open('appended'), bytes(10, part))), 10);
        assert.equal(other.io.stat(subject.path('appended')).size, (part + 1) * 10);
      }
      assert.equal(await subject.result(subject.io.submitRemove(subject.path('appended'))), 0);
      assert.deepEqual(other.io.list(subject.directory), ['file']);
    },
  },
  {
    name: 'another backend sees what was written after dispose',
    needs: 'another',
    async run(subject) {
      await subject.make('file', bytes(5000));
      await subject.io.dispose();
      const other = subject.another() as Subject;
      assertBytes(await other.content('file'), bytes(5000));
      assert.deepEqual(other.io.list(subject.directory), ['file']);
    },
  },
];
