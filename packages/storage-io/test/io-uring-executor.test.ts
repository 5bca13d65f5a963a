import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { CompletionBuffer, type IoFile, type IoToken, nodeFsNamespace } from '@walstack/storage-io';
import { errnoNamed } from '@walstack/storage-io/internal';
import { beforeEach, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { IoUringExecutor } from '../src/backends/io-uring/io-uring-executor.js';
import { FileOpsStorageIo } from '../src/engine/file-ops-storage-io.js';
import { ScriptedRing } from './scripted-ring.js';

const EINTR = errnoNamed('EINTR');
const EAGAIN = errnoNamed('EAGAIN');
const EIO = errnoNamed('EIO');

let directory: string;

beforeEach(() => {
  directory = temporaryDirectory();
});

interface Rig {
  readonly ring: ScriptedRing;
  readonly io: FileOpsStorageIo<number>;
  readonly file: IoFile;
}

/** A backend over a ring that does what the test says. Files are made, but nothing is written to them. */
function rig({ maxPending = 64, maxInFlight = 64, alignment = 1, durable = true } = {}): Rig {
  const honoursDurableWrites = () => durable;
  const ring = new ScriptedRing();
  const namespace = {
    ...nodeFsNamespace,
    name: 'scripted',
    directAlignment: () => alignment,
    // No kernel gets it, so that it need not be aligned: the addon is not needed.
    allocateBuffer: (bytes: number) => new Uint8Array(bytes),
  };
  const registered = { bufferIndex: () => -1, close: () => {} };
  const io = new FileOpsStorageIo<number>(
    namespace,
    { maxPending },
    (submissions) =>
      new IoUringExecutor({ ring, registered, namespace, submissions, maxPending, maxInFlight, honoursDurableWrites }),
  );
  return { ring, io, file: io.open(join(directory, 'file'), { create: true, direct: alignment > 1 }) };
}

/** The result of each token, waiting in the thread. */
function results({ io }: Rig, ...tokens: IoToken[]): (number | undefined)[] {
  const found = new Map<IoToken, number>();
  const out = new CompletionBuffer();
  while (tokens.some((token) => !found.has(token))) {
    const count = io.waitCompletions(out, 1);
    expect(count).toBeGreaterThan(0);
    for (let index = 0; index < count; index++) found.set(out.tokens[index] as number, out.results[index] as number);
  }
  return tokens.map((token) => found.get(token));
}

/** Answers one after another; then everything is moved. */
const answers =
  (...given: number[]) =>
  ({ bytes }: { bytes: number }): number =>
    given.shift() ?? bytes;

describe('pieces', () => {
  test('a short write continues where it ended', () => {
    const made = rig();
    made.ring.answer = answers(3, 1);
    expect(results(made, made.io.submitWrite(made.file, new Uint8Array(10), 100, { durable: true }))).toEqual([10]);
    const all = made.ring.handedOver.map(({ name, bytes, offset, flags }) => [name, bytes, offset, flags]);
    expect(all).toEqual([
      ['write', 10, 100, 1],
      ['write', 7, 103, 1],
      ['write', 6, 104, 1],
    ]);
  });

  test('a short read continues until there is nothing more', () => {
    const made = rig();
    made.ring.answer = answers(3, 0);
    expect(results(made, made.io.submitRead(made.file, new Uint8Array(10), 5))).toEqual([3]);
    expect(made.ring.handedOver.map(({ offset }) => offset)).toEqual([5, 8]);
  });

  test('nothing written is an error, not a loop', () => {
    const made = rig();
    made.ring.answer = () => 0;
    expect(results(made, made.io.submitWrite(made.file, new Uint8Array(10), 0))).toEqual([EIO]);
    expect(made.ring.handedOver).toHaveLength(1);
  });

  test.each([EINTR, EAGAIN])('what was interrupted (%i) is repeated, in the end it is an error', (interrupted) => {
    const made = rig();
    made.ring.answer = answers(interrupted, 4, interrupted);
    expect(results(made, made.io.submitWrite(made.file, new Uint8Array(10), 0))).toEqual([10]);
    expect(made.ring.handedOver.map(({ offset }) => offset)).toEqual([0, 0, 4, 4]);
    made.ring.answer = () => interrupted;
    expect(results(made, made.io.submitRead(made.file, new Uint8Array(10), 0))).toEqual([interrupted]);
  });

  test('a sync that was interrupted is a failure, since a second one would prove nothing', () => {
    const made = rig();
    made.ring.answer = answers(EINTR);
    expect(results(made, made.io.submitDatasync(made.file))).toEqual([EINTR]);
    expect(made.ring.handedOver).toHaveLength(1);
  });

  test('with direct I/O pieces are whole blocks', () => {
    const made = rig({ alignment: 512 });
    const memory = made.io.allocateBuffer(2048);
    // The second block was written in part only.
    made.ring.answer = answers(700);
    expect(results(made, made.io.submitWrite(made.file, memory, 0))).toEqual([2048]);
    expect(made.ring.handedOver.map(({ offset, bytes }) => [offset, bytes])).toEqual([
      [0, 2048],
      [512, 1536],
    ]);
    // Never a whole block.
    made.ring.answer = () => 511;
    expect(results(made, made.io.submitWrite(made.file, memory, 0))).toEqual([EIO]);
    // A read that ends inside a block has met the end of the file.
    made.ring.answer = answers(512, 100);
    expect(results(made, made.io.submitRead(made.file, memory, 0))).toEqual([612]);
  });

  test('at the end of a file they are whole blocks, too', () => {
    const pieces = ({ ring }: Rig) => ring.handedOver.splice(0).map(({ name, offset, bytes }) => [name, offset, bytes]);
    for (const durable of [true, false]) {
      const made = rig({ alignment: 512, durable });
      const { io, file, ring } = made;
      const memory = io.allocateBuffer(2048);
      ring.answer = answers(700);
      expect(results(made, io.submitAppend(file, memory))).toEqual([2048]);
      expect(pieces(made)).toEqual([
        ['write', 0, 2048],
        ['write', 512, 1536],
      ]);
      // Never a whole block.
      ring.answer = () => 511;
      expect(results(made, io.submitAppend(file, memory))).toEqual([EIO]);
      ring.handedOver.length = 0;
      // A write that waits for the append.
      ring.answer = answers(2048, 700);
      const tokens = [io.submitAppend(file, memory), io.submitWrite(file, memory, 4096)];
      expect(results(made, ...tokens)).toEqual([2048, 2048]);
      expect(pieces(made)).toEqual([
        ['write', 0, 2048],
        ['write', 4096, 2048],
        ['write', 4608, 1536],
      ]);
      const zeros = answers(700);
      ring.answer = (operation) => (operation.name === 'allocate' ? errnoNamed('EOPNOTSUPP') : zeros(operation));
      expect(results(made, io.submitAllocate(file, 8192, 1024))).toEqual([0]);
      expect(pieces(made)).toEqual([
        ['allocate', 8192, 1024],
        ['write', 8192, 1024],
        ['write', 8704, 512],
      ]);
    }
  });

  test('errors are what they are', () => {
    const made = rig();
    made.ring.answer = () => errnoNamed('ENOSPC');
    const { io, file } = made;
    const tokens = [io.submitWrite(file, new Uint8Array(10), 0), io.submitAppend(file, new Uint8Array(10))];
    expect(results(made, ...tokens)).toEqual([errnoNamed('ENOSPC'), errnoNamed('ENOSPC')]);
  });
});

describe('batches', () => {
  test('what was submitted in one turn goes to the kernel in one piece, without a flush', async () => {
    const made = rig();
    for (let part = 0; part < 5; part++) made.io.submitWrite(made.file, new Uint8Array(10), part * 10);
    expect(made.ring.submissions).toBe(0);
    await turn();
    expect(made.ring.submissions).toBe(1);
    expect(made.ring.handedOver).toHaveLength(5);
  });

  test('what promises submit one after another in one turn goes together', async () => {
    const made = rig();
    for (let part = 0; part < 5; part++) {
      await null;
      made.io.submitWrite(made.file, new Uint8Array(10), part * 10);
    }
    await turn();
    expect(made.ring.submissions).toBe(1);
  });

  test('flush submits, and returns how many', () => {
    const made = rig();
    for (let part = 0; part < 5; part++) made.io.submitWrite(made.file, new Uint8Array(10), part * 10);
    expect(made.io.flush()).toBe(5);
    expect(made.io.flush()).toBe(0);
    expect(made.ring.submissions).toBe(1);
  });

  test('polling submits, too', () => {
    const made = rig();
    made.io.submitWrite(made.file, new Uint8Array(10), 0);
    expect(made.io.pollCompletions(new CompletionBuffer())).toBe(1);
  });

  test('more than the queue holds is handed over in several pieces, and nothing is lost', () => {
    const made = rig();
    made.ring.entries = 4;
    const tokens = Array.from({ length: 30 }, (_, part) => made.io.submitWrite(made.file, Uint8Array.of(part), part));
    expect(made.ring.submissions).toBe(0);
    expect(made.io.flush()).toBe(30);
    expect(made.ring.handedOver.map(({ offset }) => offset)).toEqual(tokens.map((_, part) => part));
    expect(results(made, ...tokens)).toEqual(tokens.map(() => 1));
  });

  test('no more than maxInFlight are in the kernel', () => {
    const made = rig({ maxInFlight: 3 });
    let asked = 0;
    // Every other time that it is asked, an operation is not done yet.
    made.ring.answer = ({ bytes }) => (++asked % 2 === 0 ? bytes : undefined);
    const tokens = Array.from({ length: 20 }, (_, part) => made.io.submitWrite(made.file, Uint8Array.of(part), part));
    expect(results(made, ...tokens)).toEqual(tokens.map(() => 1));
    expect(made.ring.mostInKernel).toBe(3);
  });

  test('completions are handed out, and what they lead to is submitted together', () => {
    const made = rig();
    let polled = 0;
    const out = new CompletionBuffer();
    made.io.onReady(() => {
      const count = made.io.pollCompletions(out);
      polled += count;
      for (let index = 0; index < count && polled <= 3; index++) made.io.submitRead(made.file, new Uint8Array(1), 0);
    });
    for (let part = 0; part < 3; part++) made.io.submitRead(made.file, new Uint8Array(1), 0);
    made.io.flush();
    made.ring.ready();
    expect(polled).toBe(3);
    expect(made.ring.submissions).toBe(2);
    expect(made.ring.handedOver).toHaveLength(6);
  });

  test('a full queue is WAL_QUEUE_FULL, and polling makes room', () => {
    const made = rig({ maxPending: 4, maxInFlight: 2 });
    const submit = () => made.io.submitDatasync(made.file);
    const tokens = [submit(), submit(), submit(), submit()];
    expect(submit).toThrow(expect.objectContaining({ code: 'WAL_QUEUE_FULL', limit: 4 }));
    expect(results(made, ...tokens)).toEqual([0, 0, 0, 0]);
    expect(results(made, submit())).toEqual([0]);
  });
});

describe('a kernel that temporarily accepts nothing', () => {
  test('gets it again, on the event loop', async () => {
    const made = rig();
    made.ring.takes.push(1, 0, 0);
    made.ring.answer = () => undefined;
    for (let part = 0; part < 3; part++) made.io.submitRead(made.file, new Uint8Array(1), 0);
    made.io.flush();
    expect(made.ring.handedOver).toHaveLength(1);
    made.ring.answer = () => 0;
    made.ring.ready();
    while (made.ring.handedOver.length < 3) await turn();
  });

  test('gets it again, when the thread waits', () => {
    const made = rig();
    made.ring.takes.push(0, 0, 1, 0);
    const tokens = [
      made.io.submitRead(made.file, new Uint8Array(1), 0),
      made.io.submitRead(made.file, new Uint8Array(1), 0),
    ];
    expect(results(made, ...tokens)).toEqual([1, 1]);
  });
});

describe('a queue that a kernel thread empties', () => {
  test('and that is full is not tried repeatedly, but when something has completed', async () => {
    const made = rig();
    made.ring.entries = 4;
    made.ring.polled = true;
    const tokens = Array.from({ length: 10 }, (_, part) => made.io.submitWrite(made.file, Uint8Array.of(part), part));
    expect(made.io.flush()).toBe(4);
    expect(made.io.flush()).toBe(0);
    expect(made.ring.refused).toBeLessThan(20);
    const found: number[] = [];
    const out = new CompletionBuffer();
    made.io.onReady(() => {
      const count = made.io.pollCompletions(out);
      found.push(...out.tokens.subarray(0, count));
    });
    for (let had = -1; found.length > had; await turn()) {
      had = found.length;
      made.ring.take();
      made.ring.ready();
    }
    expect(found).toEqual(tokens);
  });
});

describe('waiting', () => {
  test('ends at the timeout with what there is', () => {
    const made = rig();
    made.ring.answer = ({ name }) => (name === 'datasync' ? 0 : undefined);
    made.io.submitWrite(made.file, new Uint8Array(1), 0);
    made.io.submitDatasync(made.file);
    const out = new CompletionBuffer();
    expect(made.io.waitCompletions(out, 2, 20)).toBe(1);
    expect(made.io.waitCompletions(out, 1, 0)).toBe(0);
    made.ring.answer = ({ bytes }) => bytes;
    expect(made.io.waitCompletions(out, 5, 20)).toBe(1);
    expect(made.io.waitCompletions(out, 1)).toBe(0);
  });

  test('continues appends, one after another', () => {
    const made = rig();
    const { io, file, ring } = made;
    const tokens = [1, 2, 3].map((bytes) => io.submitAppend(file, new Uint8Array(bytes)));
    expect(results(made, ...tokens)).toEqual([1, 2, 3]);
    expect(ring.mostInKernel).toBe(1);
    expect(ring.submissions).toBe(3);
  });
});

test('a write that may overlap an append waits for it, and one before it does not', () => {
  const made = rig();
  const { io, file, ring } = made;
  ring.canTruncate = false;
  expect(results(made, io.submitTruncate(file, 8))).toEqual([0]);
  const before = ring.handedOver.length;
  ring.answer = () => undefined;
  const tokens = [
    io.submitAppend(file, new Uint8Array(3)),
    io.submitWrite(file, new Uint8Array(6), 4),
    io.submitWrite(file, new Uint8Array(4), 2),
  ];
  io.flush();
  expect(ring.handedOver.slice(before).map(({ offset, bytes }) => [offset, bytes])).toEqual([
    [8, 3],
    [2, 4],
  ]);
  ring.answer = ({ bytes }) => bytes;
  expect(results(made, ...tokens)).toEqual([3, 6, 4]);
  expect(ring.handedOver.slice(before + 2).map(({ offset, bytes }) => [offset, bytes])).toEqual([[4, 6]]);
});

describe('where the kernel cannot', () => {
  test('reserve, zeros are written behind the end', () => {
    const made = rig();
    made.ring.answer = ({ name, bytes }) => (name === 'allocate' ? errnoNamed('EOPNOTSUPP') : bytes);
    expect(results(made, made.io.submitAllocate(made.file, 100, 900))).toEqual([0]);
    expect(made.ring.handedOver.map(({ name, offset, bytes }) => [name, offset, bytes])).toEqual([
      ['allocate', 100, 900],
      ['write', 100, 900],
    ]);
  });

  test('truncate in the ring, it is done in the thread', () => {
    const made = rig();
    made.ring.canTruncate = false;
    expect(results(made, made.io.submitTruncate(made.file, 5000))).toEqual([0]);
    expect(made.io.size(made.file)).toBe(5000);
    expect(made.ring.handedOver).toEqual([]);
  });
});

test('a ring that fails ends everything with its failure, and what comes later', async () => {
  const made = rig({ maxInFlight: 3 });
  const { io, file, ring } = made;
  ring.answer = () => undefined;
  const underWay = io.submitDatasync(file);
  io.flush();
  const queued = [
    io.submitWrite(file, new Uint8Array(1), 0),
    io.submitAppend(file, new Uint8Array(1)),
    io.submitAppend(file, new Uint8Array(1)),
    io.submitDatasync(file),
  ];
  ring.failure = Object.assign(new Error('EBADR'), { errno: -53, code: 'EBADR' });
  io.flush();
  expect(ring.closed).toBe(true);
  expect(results(made, underWay, ...queued)).toEqual([-53, -53, -53, -53, -53]);
  expect(results(made, io.submitWrite(file, new Uint8Array(1), 0))).toEqual([-53]);
  expect(io.flush()).toBe(0);
  await turn();
  io.close(file);
  await io.dispose();
});

test('what a failed ring ends is notified on the event loop, and not inside a poll', async () => {
  const { io, file, ring } = rig();
  ring.answer = () => undefined;
  const out = new CompletionBuffer();
  let inside = false;
  let told = 0;
  io.onReady(() => {
    expect(inside).toBe(false);
    told += 1;
    io.pollCompletions(out);
  });
  io.submitRead(file, new Uint8Array(1), 0);
  io.flush();
  io.submitRead(file, new Uint8Array(1), 0);
  ring.failure = Object.assign(new Error('EBADR'), { errno: -53, code: 'EBADR' });
  inside = true;
  expect(io.pollCompletions(new CompletionBuffer(1))).toBe(1);
  inside = false;
  expect(told).toBe(0);
  while (io.pending > 0) await turn();
  expect(told).toBe(1);
  await io.dispose();
});

test('what a ring that fails in a flush of the event loop ends is complete before any of it is notified', async () => {
  const { io, file, ring } = rig();
  ring.answer = () => undefined;
  const out = new CompletionBuffer();
  const seen: number[] = [];
  io.onReady(() => {
    if (seen.length > 0) return;
    // What a blocking call in the listener waits for.
    seen.push(io.pollCompletions(out), io.pending);
  });
  io.submitRead(file, new Uint8Array(1), 0);
  io.flush();
  io.submitRead(file, new Uint8Array(1), 0);
  ring.failure = Object.assign(new Error('EBADR'), { errno: -53, code: 'EBADR' });
  while (io.pending > 0) await turn();
  expect(seen).toEqual([2, 0]);
  await io.dispose();
});

test('what a listener has queued before it throws is submitted', async () => {
  const { io, file, ring } = rig();
  const thrown = new Error('of the listener');
  let tokens: IoToken[] = [];
  io.onReady(() => {
    io.pollCompletions(new CompletionBuffer());
    if (tokens.length > 0) return;
    tokens = [io.submitRead(file, new Uint8Array(1), 0), io.submitRead(file, new Uint8Array(1), 0)];
    throw thrown;
  });
  io.submitRead(file, new Uint8Array(1), 0);
  io.flush();
  expect(() => ring.ready()).toThrow(thrown);
  expect(ring.handedOver).toHaveLength(3);
  ring.ready();
  expect(io.pending).toBe(0);
  await io.dispose();
});

test('what a listener has queued is submitted by its wait, although completions were reaped before', async () => {
  const { io, file, ring } = rig();
  const out = new CompletionBuffer();
  let handedOver = 0;
  io.onReady(() => {
    if (handedOver > 0) return;
    io.submitRead(file, new Uint8Array(1), 0);
    expect(io.waitCompletions(out, 1)).toBeGreaterThan(0);
    handedOver = ring.handedOver.length;
  });
  io.submitRead(file, new Uint8Array(1), 0);
  io.flush();
  ring.ready();
  expect(handedOver).toBe(2);
  while (io.pending > 0) io.waitCompletions(out, io.pending);
  await io.dispose();
});

describe('memory that is detached', () => {
  const EFAULT = errnoNamed('EFAULT');
  /** Memory of the size asked for, and what takes it away. */
  const detachable: [string, (bytes: number) => { memory: Uint8Array; detach(): void }][] = [
    [
      'by a transfer',
      (bytes) => {
        const memory = new Uint8Array(bytes);
        return { memory, detach: () => void structuredClone(memory, { transfer: [memory.buffer] }) };
      },
    ],
    [
      'by WebAssembly.Memory.grow',
      (bytes) => {
        const { Memory } = (globalThis as unknown as { WebAssembly: { Memory: WasmMemory } }).WebAssembly;
        const wasm = new Memory({ initial: 1, maximum: 2 });
        return { memory: new Uint8Array(wasm.buffer, 0, bytes), detach: () => void wasm.grow(1) };
      },
    ],
  ];
  type WasmMemory = new (limits: {
    initial: number;
    maximum: number;
  }) => {
    buffer: ArrayBuffer;
    grow(pages: number): number;
  };

  describe.each(detachable)('%s', (_how, make) => {
    test('before the kernel has it: that operation fails, and no other', () => {
      const made = rig({ maxInFlight: 1 });
      const { memory, detach } = make(10);
      const { io, file } = made;
      const tokens = [
        io.submitDatasync(file),
        io.submitWrite(file, memory, 0),
        io.submitWrite(file, new Uint8Array(5), 20),
        io.submitAppend(file, new Uint8Array(3)),
      ];
      detach();
      expect(results(made, ...tokens)).toEqual([0, EFAULT, 5, 3]);
      expect(made.ring.handedOver.map(({ name }) => name)).toEqual(['datasync', 'write', 'write']);
    });

    test.each([10, 4, EAGAIN])(
      'while the kernel has it (%i came back): that operation fails, and no other',
      (result) => {
        const made = rig();
        const { memory, detach } = make(10);
        const { io, file, ring } = made;
        ring.answer = answers(result);
        const tokens = [io.submitWrite(file, memory, 0), io.submitRead(file, new Uint8Array(5), 20)];
        io.flush();
        detach();
        expect(results(made, ...tokens)).toEqual([EFAULT, 5]);
        expect(results(made, io.submitWrite(file, new Uint8Array(5), 0))).toEqual([5]);
        expect(ring.handedOver).toHaveLength(3);
      },
    );

    test('while it waits at the end of the file: that operation fails, and no other', () => {
      const made = rig();
      const { memory, detach } = make(10);
      const { io, file } = made;
      const tokens = [
        io.submitAppend(file, new Uint8Array(3)),
        io.submitAppend(file, memory),
        io.submitWrite(file, new Uint8Array(6), 0, { durable: true }),
      ];
      detach();
      expect(results(made, ...tokens)).toEqual([3, EFAULT, 6]);
    });
  });
});

describe('datasyncs of one file', () => {
  test('are carried out one after another, and one that fails fails those that wait behind it', () => {
    const made = rig();
    const { io, file, ring } = made;
    const out = new CompletionBuffer();
    let result: number | undefined;
    ring.answer = () => result;
    const first = io.submitDatasync(file);
    io.flush();
    const behind = [io.submitDatasync(file), io.submitDatasync(file)];
    expect(io.pollCompletions(out)).toBe(0);
    expect(ring.handedOver).toHaveLength(1);
    result = EIO;
    expect(results(made, first, ...behind)).toEqual([EIO, EIO, EIO]);
    expect(ring.handedOver).toHaveLength(1);
    // What a later one is worth is for those to judge who were told.
    result = 0;
    expect(results(made, io.submitDatasync(file))).toEqual([0]);
  });
});

describe('a file system that does not honour durable writes', () => {
  const names = ({ ring }: Rig): string[] => ring.handedOver.map(({ name, flags }) => `${name} ${flags}`);

  test('a durable write is a write, and a datasync behind it', () => {
    const made = rig({ durable: false });
    const { io, file, ring } = made;
    ring.answer = answers(512, 512, 0);
    expect(results(made, io.submitWrite(file, new Uint8Array(1024), 512, { durable: true }))).toEqual([1024]);
    expect(names(made)).toEqual(['write 0', 'write 0', 'datasync 0']);
    expect(io.stats()).toMatchObject({ submitted: 1, syncs: 1, durableBySync: 1, bytesWritten: 1024 });
  });

  test('nothing is durable before the sync has come back, and no sync begins before its write has', () => {
    const { io, file, ring } = rig({ durable: false });
    const out = new CompletionBuffer();
    let inKernel: string[] = [];
    ring.answer = ({ name, bytes }) => (inKernel.includes(name) ? undefined : bytes);
    inKernel = ['write', 'datasync'];
    const token = io.submitWrite(file, new Uint8Array(10), 0, { durable: true });
    expect(io.pollCompletions(out)).toBe(0);
    expect(ring.handedOver.map(({ name }) => name)).toEqual(['write']);
    inKernel = ['datasync'];
    expect(io.pollCompletions(out)).toBe(0);
    io.flush();
    expect(ring.handedOver.map(({ name }) => name)).toEqual(['write', 'datasync']);
    expect(io.pollCompletions(out)).toBe(0);
    inKernel = [];
    expect([io.pollCompletions(out), out.tokens[0], out.results[0]]).toEqual([1, token, 10]);
  });

  test('writes made while a sync is in flight share the next one', () => {
    const made = rig({ durable: false });
    const { io, file, ring } = made;
    const out = new CompletionBuffer();
    let syncing = true;
    ring.answer = ({ name, bytes }) => (name === 'datasync' && syncing ? undefined : bytes);
    const first = io.submitWrite(file, new Uint8Array(1), 0, { durable: true });
    io.pollCompletions(out);
    io.flush();
    const later = [
      io.submitWrite(file, new Uint8Array(2), 1, { durable: true }),
      io.submitDatasync(file),
      io.submitWrite(file, new Uint8Array(3), 3, { durable: true }),
    ];
    for (let turns = 0; turns < 3; turns++) expect(io.pollCompletions(out)).toBe(0);
    // Of two datasyncs side by side only one would be told of a failure.
    expect(ring.handedOver.map(({ name }) => name)).toEqual(['write', 'datasync', 'write', 'write']);
    syncing = false;
    expect(results(made, first, ...later)).toEqual([1, 2, 0, 3]);
    expect(ring.handedOver.map(({ name }) => name)).toEqual(['write', 'datasync', 'write', 'write', 'datasync']);
    expect(io.stats().syncs).toBe(4);
  });

  test('a sync that fails fails everything written since the last one, and everything that is to be durable after it', () => {
    const made = rig({ durable: false });
    const { io, file, ring } = made;
    const out = new CompletionBuffer();
    let failing: number | undefined;
    ring.answer = ({ name, bytes }) => (name === 'datasync' ? failing : bytes);
    const first = io.submitWrite(file, new Uint8Array(1), 0, { durable: true });
    io.pollCompletions(out);
    io.flush();
    // Written before the sync has failed: its failure may be about this one.
    const second = io.submitWrite(file, new Uint8Array(2), 1, { durable: true });
    io.pollCompletions(out);
    failing = EIO;
    expect(results(made, first, second)).toEqual([EIO, EIO]);
    failing = 0;
    expect(results(made, io.submitWrite(file, new Uint8Array(2), 1, { durable: true }))).toEqual([EIO]);
    expect(results(made, io.submitDatasync(file), io.submitWrite(file, new Uint8Array(1), 0))).toEqual([EIO, 1]);
    // Opened again it is another matter.
    io.close(file);
    const again = io.open(file.path);
    expect(results(made, io.submitWrite(again, new Uint8Array(2), 1, { durable: true }))).toEqual([2]);
  });

  test('a write that fails is not synced', () => {
    const made = rig({ durable: false });
    made.ring.answer = () => EIO;
    expect(results(made, made.io.submitWrite(made.file, new Uint8Array(2), 1, { durable: true }))).toEqual([EIO]);
    expect(names(made)).toEqual(['write 0']);
  });

  test('the same after an append, which delays it', () => {
    const made = rig({ durable: false });
    const { io, file } = made;
    const tokens = [
      io.submitAppend(file, new Uint8Array(4)),
      io.submitWrite(file, new Uint8Array(6), 0, { durable: true }),
    ];
    expect(results(made, ...tokens)).toEqual([4, 6]);
    expect(names(made)).toEqual(['write 0', 'write 0', 'datasync 0']);
  });

  test('when the ring fails between the write and its sync, the write has failed', () => {
    const made = rig({ durable: false });
    const { io, file, ring } = made;
    ring.answer = ({ name, bytes }) => (name === 'datasync' ? undefined : bytes);
    const tokens = [0, 1, 2].map((at) => io.submitWrite(file, new Uint8Array(1), at, { durable: true }));
    io.pollCompletions(new CompletionBuffer());
    io.flush();
    io.submitDatasync(file);
    ring.failure = Object.assign(new Error('EBADR'), { errno: -53, code: 'EBADR' });
    io.flush();
    expect(results(made, ...tokens)).toEqual([-53, -53, -53]);
  });
});
