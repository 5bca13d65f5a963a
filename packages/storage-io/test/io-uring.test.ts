import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import {
  CompletionBuffer,
  createIoUringStorageIo,
  type IoToken,
  type IoUringOptions,
  ioUringPresets,
  nodeFsNamespace,
  type RingStats,
  ringSupport,
  type StorageIo,
} from '@walstack/storage-io';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { removableDirectory, temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { RegisteredBuffers } from '../src/backends/io-uring/registered-buffers.js';

const ring = ringSupport();
const rangeError = expect.objectContaining({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
const typeError = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });

let directory: string;
let destroy: () => void;
const made: StorageIo[] = [];

beforeEach(() => {
  ({ directory, destroy } = removableDirectory());
});

afterEach(async () => {
  for (const io of made.splice(0)) await io.dispose();
  destroy();
});

function open(options?: IoUringOptions): StorageIo {
  const io = createIoUringStorageIo(options);
  made.push(io);
  return io;
}

/** The result of each token, waiting in the thread. */
function results(io: StorageIo, ...tokens: IoToken[]): (number | undefined)[] {
  const found = new Map<IoToken, number>();
  const out = new CompletionBuffer();
  while (tokens.some((token) => !found.has(token))) {
    const count = io.waitCompletions(out, 1);
    for (let index = 0; index < count; index++) found.set(out.tokens[index] as number, out.results[index] as number);
  }
  return tokens.map((token) => found.get(token));
}

/** What the kernel tells of the newest ring of this process. */
function ringInfo(): string {
  const fds = readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('io_uring');
    } catch {
      return false;
    }
  });
  return readFileSync(`/proc/self/fdinfo/${Math.max(...fds.map(Number))}`, 'utf8');
}

const numberIn = (text: string, name: string): number => Number(new RegExp(`${name}:\\s*(\\S+)`).exec(text)?.[1]);

/** Whether a thread of the kernel polls for this process. */
const isPolled = (): boolean =>
  readdirSync('/proc/self/task').some((id) => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim() === `iou-sqp-${process.pid}`;
    } catch {
      return false;
    }
  });

describe.runIf(ring.available)('io-uring', () => {
  test('reports its capabilities', () => {
    expect(open().capabilities).toEqual({
      overlappedWrites: true,
      durableWrites: true,
      completesInline: false,
      canWait: true,
      realFiles: true,
      fileLocks: nodeFsNamespace.lockFile !== undefined,
    });
  });

  // Whether the file system of the tests is one on which a durable write is one operation.
  const honoured = nodeFsNamespace.fileSystem?.(tmpdir())?.durableWrites === true;

  test.runIf(honoured)('a durable write that is waited for is one system call', () => {
    const io = open();
    const file = io.open(join(directory, 'file'), { create: true });
    const data = new Uint8Array(4096);
    for (let block = 0; block < 10; block++) {
      expect(results(io, io.submitWrite(file, data, block * 4096, { durable: true }))).toEqual([4096]);
    }
    expect(io.stats()).toMatchObject({ submitted: 10, completed: 10, syncs: 10, bytesWritten: 40_960 });
    const { enters, interrupted, refused, ...counted } = io.stats().ring as RingStats;
    expect(counted).toMatchObject({ submitted: 10, completed: 10 });
    // On a busy machine the kernel may return early, or have something to finish off that it has to be asked for: one more
    // now and then, and not another one for each write.
    const entered = enters - interrupted - refused;
    expect(entered).toBeGreaterThanOrEqual(10);
    expect(entered).toBeLessThan(20);
  });

  test('a durable write on the event loop is one system call, however many are submitted together', async () => {
    const io = open();
    const file = io.open(join(directory, 'file'), { create: true });
    const out = new CompletionBuffer();
    let completed = 0;
    io.onReady(() => {
      completed += io.pollCompletions(out);
    });
    for (let round = 1; round <= 5; round++) {
      for (let part = 0; part < 8; part++) io.submitWrite(file, new Uint8Array(512), part * 512, { durable: true });
      while (completed < round * 8) await turn();
    }
    const enters = io.stats().ring?.enters ?? 0;
    expect(enters).toBeGreaterThanOrEqual(5);
    // What comes back in several pieces may have to be asked for.
    expect(enters).toBeLessThan(40);
  });

  test('kernel polling: the kernel has a thread for it, and an awake one needs no system call', async () => {
    expect(isPolled()).toBe(false);
    const io = open({ kernelPolling: true, kernelPollingIdleMs: 60_000 });
    while (!isPolled()) await turn();
    const file = io.open(join(directory, 'file'), { create: true });
    results(io, io.submitDatasync(file));
    const before = io.stats().ring?.enters;
    io.submitDatasync(file);
    expect(io.flush()).toBe(1);
    expect(io.stats().ring?.enters).toBe(before);
    const out = new CompletionBuffer();
    while (io.pollCompletions(out) === 0) await turn();
    await io.dispose();
    while (isPolled()) await turn();
  });

  test('kernel polling: after its idle time the thread sleeps, and is woken by a system call', async () => {
    const io = open({ kernelPolling: true, kernelPollingIdleMs: 1 });
    const file = io.open(join(directory, 'file'), { create: true });
    results(io, io.submitDatasync(file));
    // It sleeps sooner or later.
    for (let before = io.stats().ring?.enters; io.stats().ring?.enters === before; ) {
      for (let round = 0; round < 10; round++) await turn();
      io.submitDatasync(file);
      io.flush();
      while (io.pending > 0) {
        io.pollCompletions(new CompletionBuffer());
        await turn();
      }
    }
  });

  test('queueEntries: the kernel has so many places', () => {
    for (const queueEntries of [1, 8, 100]) {
      open({ queueEntries });
      expect(numberIn(ringInfo(), 'SqMask')).toBe({ 1: 0, 8: 7, 100: 127 }[queueEntries]);
    }
  });

  test('queueEntries: more than that is handed over in several pieces, and none is lost', () => {
    const io = open({ queueEntries: 2 });
    const file = io.open(join(directory, 'file'), { create: true });
    const tokens = Array.from({ length: 100 }, (_, index) => io.submitWrite(file, Uint8Array.of(index), index));
    expect(results(io, ...tokens)).toEqual(tokens.map(() => 1));
    expect(readFileSync(join(directory, 'file'))).toEqual(Buffer.from(tokens.map((_, index) => index)));
  });

  test('registeredBuffers: so many are registered, and used by their place', () => {
    const io = open({ registeredBuffers: 3, registeredBufferBytes: 8192 });
    expect(numberIn(ringInfo(), 'UserBufs')).toBe(3);
    const file = io.open(join(directory, 'file'), { create: true });
    const fixedAfter = (memory: Uint8Array): number => {
      const before = io.stats().ring?.fixedBuffer ?? 0;
      memory.fill(9);
      expect(results(io, io.submitWrite(file, memory, 0, { durable: true }))).toEqual([memory.length]);
      expect(results(io, io.submitRead(file, memory, 0))).toEqual([memory.length]);
      return (io.stats().ring?.fixedBuffer ?? 0) - before;
    };
    const large = io.allocateBuffer(8193);
    expect(fixedAfter(large)).toBe(0);
    const memory = [4096, 8192, 1].map((bytes) => io.allocateBuffer(bytes));
    for (const each of memory) expect(fixedAfter(each)).toBe(2);
    expect(fixedAfter((memory[1] as Uint8Array).subarray(100, 5000))).toBe(2);
    // There is no place left, and other memory is written as it is.
    expect(fixedAfter(io.allocateBuffer(4096))).toBe(0);
    expect(fixedAfter(new Uint8Array(4096))).toBe(0);
    const [first] = memory as [Uint8Array];
    expect(fixedAfter(new Uint8Array(first.buffer, 0, first.byteOffset + 10))).toBe(0);
  });

  test('registeredBuffers: a place is free again when the memory is garbage', () => {
    const { said } = inProcess(`
      const io = createIoUringStorageIo({ registeredBuffers: 2 });
      const file = io.open(join(directory, 'file'), { create: true });
      const write = () => {
        const before = io.stats().ring.fixedBuffer;
        const memory = io.allocateBuffer(4096);
        io.submitWrite(file, memory, 0);
        io.waitCompletions(new CompletionBuffer(), 1);
        return io.stats().ring.fixedBuffer - before;
      };
      const said = [write(), write(), write()];
      while (write() === 0) { globalThis.gc(); await turn(); }
      await io.dispose();
      globalThis.gc();
      await turn();
      say(said);`);
    expect(said).toEqual([1, 1, 0]);
  });

  test('registeredBuffers: what may not be locked is memory like any other', () => {
    const taken: number[] = [];
    const limited = {
      registerBuffer: (place: number) => {
        if (taken.length === 2) throw Object.assign(new Error('too much is locked'), { code: 'ENOMEM' });
        taken.push(place);
      },
      unregisterBuffer: () => {},
    };
    const buffers = new RegisteredBuffers(limited, 5, 4096);
    const memory = [1, 2, 3, 4].map(() => buffers.add(new Uint8Array(4096)));
    expect(memory.map((each) => buffers.bufferIndex(each))).toEqual([...taken, -1, -1]);
  });

  test('directIo: false refuses it for every file, and counts them', () => {
    const io = open({ directIo: false });
    const file = io.open(join(directory, 'file'), { create: true, direct: true });
    expect([file.direct, file.alignment, io.stats().directRefused]).toEqual([false, 1, 1]);
    expect(results(io, io.submitWrite(file, new Uint8Array(7), 3))).toEqual([7]);
  });

  test.runIf(existsSync('/dev/shm') && statfsSync('/dev/shm').type === 0x01021994)(
    'a file system in memory has no direct I/O, and durable writes all the same',
    () => {
      const place = temporaryDirectory('/dev/shm');
      const io = open();
      const file = io.open(join(place, 'file'), { create: true, direct: true });
      expect([file.direct, io.stats().directRefused]).toEqual([false, 1]);
      expect(results(io, io.submitWrite(file, new Uint8Array(7), 3, { durable: true }))).toEqual([7]);
      expect(results(io, io.submitAllocate(file, 0, 5000), io.submitSyncDirectory(place))).toEqual([0, 0]);
      expect(results(io, io.submitTruncate(file, 100))).toEqual([0]);
      expect(io.size(file)).toBe(100);
    },
  );

  test('presets are what they say', async () => {
    const { highThroughput, lowLatency, minimal } = ioUringPresets;
    open(highThroughput);
    expect([numberIn(ringInfo(), 'SqMask'), numberIn(ringInfo(), 'UserBufs')]).toEqual([1023, 8]);
    expect(isPolled()).toBe(false);
    const small = open(minimal);
    expect([numberIn(ringInfo(), 'SqMask'), numberIn(ringInfo(), 'CqMask')]).toEqual([7, 7]);
    const file = small.open(join(directory, 'file'), { create: true });
    for (let part = 0; part < 64; part++) small.submitDatasync(file);
    expect(() => small.submitDatasync(file)).toThrow(expect.objectContaining({ code: 'WAL_QUEUE_FULL' }));
    open({ ...lowLatency, maxPending: 10 });
    while (!isPolled()) await turn();
  });

  test('several rings work side by side', async () => {
    const rings = [1, 2, 3].map(() => open({ queueEntries: 4 }));
    const written = rings.map((io, index) => {
      const file = io.open(join(directory, `file ${index}`), { create: true });
      return Promise.all(
        Array.from({ length: 20 }, () => {
          io.submitAppend(file, new Uint8Array(100).fill(index));
          return turn();
        }),
      );
    });
    await Promise.all(written);
    for (const io of rings) await io.dispose();
    for (const [index] of rings.entries()) {
      expect(readFileSync(join(directory, `file ${index}`))).toEqual(Buffer.alloc(2000, index));
    }
  });

  test('a process that has nothing to do ends, although the backend was not disposed of', () => {
    const { said, code } = inProcess(`
      const io = createIoUringStorageIo();
      const file = io.open(join(directory, 'file'), { create: true });
      io.submitWrite(file, Buffer.from('written'), 0);
      process.on('exit', () => say(readFileSync(join(directory, 'file'), 'utf8')));`);
    expect([said, code]).toEqual(['written', 0]);
  });

  test('a short write of the system is continued, and then fails', () => {
    const { said } = inProcess(
      `const io = createIoUringStorageIo({ directIo: false });
      const file = io.open(join(directory, 'file'), { create: true });
      const out = new CompletionBuffer();
      io.submitWrite(file, new Uint8Array(8192).fill(1), 2048);
      io.waitCompletions(out, 1);
      say([out.results[0], io.size(file), io.stats().ring.submitted]);`,
      // 4 KiB is the largest file; without the trap the signal would end the process.
      `trap '' XFSZ; ulimit -f 4;`,
    );
    expect(said).toEqual([-27, 4096, 2]);
  });

  test('options are checked', () => {
    for (const options of [
      { queueEntries: 0 },
      { queueEntries: 32_769 },
      { maxInFlight: 0 },
      { maxInFlight: 65_537 },
      { kernelPollingIdleMs: 0 },
      { registeredBuffers: -1 },
      { registeredBuffers: 16_385 },
      { registeredBufferBytes: 0 },
      { maxPending: 0 },
    ]) {
      expect(() => createIoUringStorageIo(options)).toThrow(rangeError);
    }
    for (const options of [{ kernelPolling: 1 }, { directIo: 'yes' }, { entries: 8 }, null]) {
      expect(() => createIoUringStorageIo(options as never)).toThrow(typeError);
    }
  });
});

describe.runIf(ring.available)('in worker threads', () => {
  test('the whole contract holds, in several of them at once', async () => {
    const all = [1, 2].map(
      (index) =>
        new Promise<{ passed: number; failures: string[] }>((resolve, reject) => {
          const workerData = { directory: join(directory, `${index}`) };
          const thread = new Worker(new URL('./conformance-worker.mjs', import.meta.url), { workerData, execArgv: [] });
          thread.once('message', resolve);
          thread.once('error', reject);
        }),
    );
    for (const { passed, failures } of await Promise.all(all)) {
      expect(failures).toEqual([]);
      expect(passed).toBeGreaterThan(80);
    }
  });

  test('threads that end in the middle of their writes leave nothing behind', () => {
    const script = new URL('./torn-down-workers.mjs', import.meta.url).pathname;
    const { stdout, stderr, status, signal } = spawnSync(process.execPath, ['--expose-gc', script, directory, '12'], {
      encoding: 'utf8',
    });
    expect({ stderr, status, signal }).toEqual({ stderr: '', status: 0, signal: null });
    expect(JSON.parse(stdout)).toMatchObject({ workers: 12, openFiles: 0, rings: 0 });
  });
});

test.runIf(!ring.available)('without a ring it is WAL_UNSUPPORTED, with the reason', () => {
  expect(() => createIoUringStorageIo()).toThrow(
    expect.objectContaining({ code: 'WAL_UNSUPPORTED', message: expect.stringContaining(ring.reason ?? '') }),
  );
});

/** Runs a program in a process of its own, which says one thing. */
function inProcess(source: string, shell = ''): { said: unknown; code: number } {
  const prologue = `import { readFileSync } from 'node:fs';
    import { join } from 'node:path';
    import { setImmediate as turn } from 'node:timers/promises';
    import { CompletionBuffer, createIoUringStorageIo } from ${JSON.stringify(import.meta.resolve('@walstack/storage-io'))};
    const directory = ${JSON.stringify(directory)};
    const say = (what) => process.stdout.write(JSON.stringify(what));`;
  const command = `${shell} exec "$0" --expose-gc --input-type=module --eval "$1"`;
  const said = execFileSync('bash', ['-c', command, process.execPath, prologue + source], { encoding: 'utf8' });
  return { said: JSON.parse(said), code: 0 };
}
