import assert from 'node:assert/strict';
import { CompletionBuffer } from '../completion-buffer.js';
import type { IoFile, IoToken } from '../storage-io.js';
import { assertBytes, bytes, type ConformanceCase, errorName, type Subject, throwsWal, turn } from './subject.js';

/** Submits `count` writes of one byte each, side by side. */
function submitWrites(subject: Subject, file: IoFile, count: number): IoToken[] {
  return Array.from({ length: count }, (_, index) =>
    subject.submitted(subject.io.submitWrite(file, bytes(1, index), index)),
  );
}

/** A count, or the name of an error. */
const named = (result: number): number | string => (result < 0 ? errorName(result) : result);

/** Registers `listener` until it reports that it is done. What it throws ends the wait. */
function listening(subject: Subject, listener: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    subject.io.onReady(() => {
      try {
        if (listener()) resolve();
      } catch (error) {
        reject(error);
      }
    });
    subject.io.flush();
  });
}

/** Tokens, polling, waiting and readiness of completions. */
export const completions: readonly ConformanceCase[] = [
  {
    name: 'without submissions nothing is pending, and polling returns 0',
    run(subject) {
      assert.equal(subject.io.pending, 0);
      assert.equal(subject.poll(), 0);
      assert.ok(Number.isInteger(subject.io.flush()));
    },
  },
  {
    name: 'every token completes exactly once, with the result of its operation',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      await subject.make('removed');
      await subject.make('read', bytes(4096));
      const read = subject.open('read');
      const tokens: IoToken[] = [];
      const expected: (number | string)[] = [];
      for (let round = 0; round < 5; round++) {
        const removed = round === 0 ? 'removed' : 'missing';
        for (const [token, result] of [
          [io.submitWrite(file, bytes(100), round * 100), 100],
          [io.submitAppend(file, bytes(10)), 10],
          [io.submitRead(read, new Uint8Array(20), 4090), 6],
          [io.submitDatasync(file), 0],
          [io.submitAllocate(file, 0, 1000), 0],
          [io.submitSyncDirectory(subject.directory), 0],
          [io.submitRemove(subject.path(removed)), round === 0 ? 0 : 'ENOENT'],
        ] as const) {
          tokens.push(subject.submitted(token));
          expected.push(result);
        }
      }
      assert.equal(io.pending, tokens.length);
      assert.deepEqual((await subject.results(...tokens)).map(named), expected);
      assert.equal(io.pending, 0);
      for (let round = 0; round < 5; round++) {
        assert.equal(subject.poll(), 0);
        await turn();
      }
    },
  },
  {
    name: 'pending is the number of submissions that were not polled',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      const tokens = submitWrites(subject, file, 10);
      assert.equal(io.pending, 10);
      const one = new CompletionBuffer(1);
      io.flush();
      for (let left = 10; left > 0; ) {
        const count = io.pollCompletions(one);
        subject.completed(one, count);
        left -= count;
        assert.equal(io.pending, left);
        if (count === 0) await turn();
      }
      for (const token of tokens) assert.equal(subject.resultOf(token), 1);
    },
  },
  {
    name: 'polling returns no more completions than fit in the buffer, and loses none',
    async run(subject) {
      const file = subject.open('file');
      const tokens = submitWrites(subject, file, 25);
      const small = new CompletionBuffer(4);
      while (subject.completedCount < tokens.length) {
        subject.io.flush();
        const count = subject.io.pollCompletions(small);
        assert.ok(count <= 4);
        subject.completed(small, count);
        if (count === 0) await turn();
      }
      assert.equal(subject.io.pending, 0);
    },
  },
  {
    name: 'the listener is called when completions wait, and not from inside a call',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      let inCall = false;
      let inListener = false;
      const called = <T>(call: () => T): T => {
        inCall = true;
        try {
          return call();
        } finally {
          inCall = false;
        }
      };
      let submitted = 0;
      const submit = (): void => {
        submitted += 1;
        subject.submitted(called(() => io.submitWrite(file, bytes(10), 0)));
      };
      submit();
      await listening(subject, () => {
        assert.ok(!inCall, 'the listener was called from inside a call of the backend');
        assert.ok(!inListener, 'the listener was called while it ran');
        inListener = true;
        called(() => subject.poll());
        if (submitted < 50 && subject.completedCount === submitted) {
          for (let more = 0; more < 3; more++) submit();
          called(() => io.size(file));
          called(() => io.flush());
        }
        inListener = false;
        return submitted >= 50 && subject.completedCount === submitted;
      });
    },
  },
  {
    name: 'the listener is called again as long as completions are left',
    async run(subject) {
      const tokens = submitWrites(subject, subject.open('file'), 9);
      const small = new CompletionBuffer(2);
      await listening(subject, () => {
        subject.completed(small, subject.io.pollCompletions(small));
        return subject.completedCount === tokens.length;
      });
    },
  },
  {
    name: 'a listener that does not poll is called again',
    async run(subject) {
      const tokens = submitWrites(subject, subject.open('file'), 3);
      let calls = 0;
      await listening(subject, () => {
        calls += 1;
        if (calls > 3) subject.poll();
        return subject.completedCount === tokens.length;
      });
    },
  },
  {
    name: 'a listener that is registered late is called for completions that wait already',
    async run(subject) {
      const tokens = submitWrites(subject, subject.open('file'), 3);
      subject.io.flush();
      for (let round = 0; round < 20; round++) await turn();
      await listening(subject, () => {
        subject.poll();
        return subject.completedCount === tokens.length;
      });
    },
  },
  {
    name: 'a new listener replaces the one before it, and it can be removed',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      let first = 0;
      let second = 0;
      io.onReady(() => {
        first += 1;
      });
      io.onReady(() => {
        second += 1;
        subject.poll();
      });
      const [token] = submitWrites(subject, file, 1);
      io.flush();
      while (subject.completedCount === 0) await turn();
      assert.ok(second > 0);
      io.onReady(undefined);
      second = 0;
      await subject.results(...submitWrites(subject, file, 5));
      for (let round = 0; round < 5; round++) await turn();
      assert.deepEqual([first, second], [0, 0]);
      assert.equal(subject.resultOf(token as IoToken), 1);
    },
  },
  {
    name: 'submissions from inside a listener complete',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      const steps = [bytes(100, 1), bytes(200, 2), bytes(300, 3)];
      let next = 0;
      const submit = (): void => {
        subject.submitted(io.submitAppend(file, steps[next] as Uint8Array));
        next += 1;
      };
      submit();
      await listening(subject, () => {
        subject.poll();
        if (subject.completedCount === next && next < steps.length) {
          submit();
          io.flush();
        }
        return subject.completedCount === steps.length;
      });
      assert.equal(io.size(file), 600);
    },
  },
  {
    name: 'waitCompletions blocks until enough have completed, or is WAL_UNSUPPORTED',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      const out = new CompletionBuffer(8);
      const tokens = submitWrites(subject, file, 20);
      if (!io.capabilities.canWait) {
        throwsWal('WAL_UNSUPPORTED', () => io.waitCompletions(out, 1));
        await subject.results(...tokens);
        return;
      }
      const first = io.waitCompletions(out, 3);
      assert.ok(first >= 3 && first <= 8, `${first} completions`);
      subject.completed(out, first);
      while (io.pending > 0) {
        const count = io.waitCompletions(out, 1, 60_000);
        assert.ok(count >= 1);
        subject.completed(out, count);
      }
      for (const token of tokens) assert.equal(subject.resultOf(token), 1);
    },
  },
  {
    name: 'waitCompletions waits for no more than are pending, nor than fit in the buffer',
    run(subject) {
      const { io } = subject;
      if (!io.capabilities.canWait) return;
      const out = new CompletionBuffer(4);
      assert.equal(io.waitCompletions(out, 1), 0);
      assert.equal(io.waitCompletions(out, 1, 0), 0);
      const file = subject.open('file');
      submitWrites(subject, file, 6);
      assert.equal(io.waitCompletions(out, 100), 4);
      subject.completed(out, 4);
      assert.equal(io.waitCompletions(out, 100), 2);
      subject.completed(out, 2);
      assert.equal(io.waitCompletions(out, 100), 0);
    },
  },
  {
    name: 'a full queue is WAL_QUEUE_FULL, and polling makes room',
    maxPending: 4,
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      const tokens: IoToken[] = [];
      const submit = (): void => {
        const at = tokens.length;
        tokens.push(subject.submitted(io.submitWrite(file, bytes(10, at), at * 10)));
      };
      // A backend may round the size of its queue up.
      throwsWal('WAL_QUEUE_FULL', () => {
        while (tokens.length < 4096) submit();
      });
      const fitted = tokens.length;
      assert.ok(fitted >= 4, `only ${fitted} fitted`);
      assert.equal(io.pending, fitted);
      assert.equal(io.stats().queueFullEvents, 1);
      assert.equal(io.stats().submitted, fitted);
      throwsWal('WAL_QUEUE_FULL', () => io.submitAppend(file, bytes(10)));
      throwsWal('WAL_QUEUE_FULL', () => io.submitRead(file, new Uint8Array(10), 0));
      throwsWal('WAL_QUEUE_FULL', () => io.submitDatasync(file));
      throwsWal('WAL_QUEUE_FULL', () => io.submitAllocate(file, 0, 10_000));
      throwsWal('WAL_QUEUE_FULL', () => io.submitSyncDirectory(subject.directory));
      throwsWal('WAL_QUEUE_FULL', () => io.submitRemove(subject.path('file')));
      assert.equal(io.stats().queueFullEvents, 7);
      for (const result of await subject.results(...tokens)) assert.equal(result, 10);
      assert.equal(io.pending, 0);
      submit();
      submit();
      await subject.results(...tokens);
      assert.equal(io.size(file), tokens.length * 10);
      const expected = new Uint8Array(tokens.flatMap((_, at) => [...bytes(10, at)]));
      assertBytes(await subject.read(file, 0, tokens.length * 10 + 10), expected);
    },
  },
  {
    name: 'a small queue that is never empty loses no completion',
    maxPending: 4,
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      const out = new CompletionBuffer(3);
      const tokens = submitWrites(subject, file, 4);
      for (let round = 0; round < 8; round++) {
        // One completion is left each time, and three more are added.
        let taken = 0;
        while (taken < 3) {
          io.flush();
          const one = new CompletionBuffer(1);
          const count = io.pollCompletions(one);
          subject.completed(one, count);
          taken += count;
          if (count === 0) await turn();
        }
        tokens.push(...submitWrites(subject, file, 3));
      }
      while (io.pending > 0) {
        io.flush();
        const count = io.pollCompletions(out);
        subject.completed(out, count);
        if (count === 0) await turn();
      }
      for (const token of tokens) assert.equal(subject.resultOf(token), 1);
    },
  },
  {
    name: 'many submissions through a small queue lose no completion',
    maxPending: 3,
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      const parts = Array.from({ length: 60 }, (_, index) => bytes(20, index));
      for (const part of parts) {
        for (;;) {
          try {
            subject.submitted(io.submitAppend(file, part));
            break;
          } catch {
            io.flush();
            if (subject.poll() === 0) await turn();
          }
        }
      }
      while (io.pending > 0) {
        io.flush();
        if (subject.poll() === 0) await turn();
      }
      assert.equal(subject.completedCount, parts.length);
      assertBytes(await subject.read(file, 0, 2000), new Uint8Array(parts.flatMap((part) => [...part])));
    },
  },
  {
    name: 'the counters of stats match what was done',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      const durable = io.capabilities.durableWrites;
      const tokens = [
        io.submitWrite(file, bytes(100), 0),
        io.submitAppend(subject.open('other'), bytes(50)),
        io.submitWrite(file, bytes(30), 100, { durable }),
        io.submitDatasync(file),
        io.submitSyncDirectory(subject.directory),
        io.submitAllocate(file, 0, 10),
        io.submitRemove(subject.path('missing')),
      ];
      const during = io.stats();
      assert.equal(during.submitted, 7);
      assert.equal(during.completed + during.inFlight, 7);
      assert.ok(Object.isFrozen(during));
      await subject.results(...tokens);
      await subject.read(file, 0, 40);
      await subject.read(file, 125, 40);
      const { submitted, completed, inFlight, bytesWritten, bytesRead, syncs, queueFullEvents } = io.stats();
      assert.deepEqual(
        { submitted, completed, inFlight, bytesWritten, bytesRead, syncs, queueFullEvents },
        {
          submitted: 9,
          completed: 9,
          inFlight: 0,
          bytesWritten: 180,
          bytesRead: 45,
          syncs: durable ? 3 : 2,
          queueFullEvents: 0,
        },
      );
      assert.equal(during.submitted, 7, 'a snapshot does not change');
    },
  },
];
