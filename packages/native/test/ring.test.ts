import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { allocateAligned, Ring, RingFlag, type RingOptions, type RingTaskWork, ringSupport } from '@walstack/native';
import { afterEach, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { fileWith, opened, thrownBy } from './files.js';

const { available } = ringSupport();

const ECANCELED = -125;
const EBADF = -9;

const rings: Ring[] = [];

afterEach(() => {
  for (const ring of rings.splice(0)) ring.close();
});

function makeRing(options?: RingOptions): Ring {
  const ring = new Ring(options);
  rings.push(ring);
  return ring;
}

/** A pipe that one can read from and write to through one number: a read waits until somebody has written. */
function pipe(flags = 0): number {
  const path = join(temporaryDirectory(), 'pipe');
  execFileSync('mkfifo', [path]);
  return opened(path, constants.O_RDWR | flags);
}

const file = (): number => opened(fileWith(''), 'r+');

/** Waits for so many operations, and returns the result of each slot. */
function results(ring: Ring, count: number): Map<number, number> {
  const found = new Map<number, number>();
  const slots = new Int32Array(16);
  const values = new Int32Array(16);
  while (found.size < count) {
    ring.wait(1);
    const reaped = ring.reap(slots, values);
    for (let index = 0; index < reaped; index++) {
      expect(found.has(slots[index] as number)).toBe(false);
      found.set(slots[index] as number, values[index] as number);
    }
  }
  return found;
}

/** The names of this process's threads, those that the kernel made for it among them. */
function threadNames(): string[] {
  return readdirSync('/proc/self/task').map((id) => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim();
    } catch {
      return 'gone';
    }
  });
}

const WAYS: readonly RingTaskWork[] = ['deferred', 'cooperative', 'interrupting'];

describe.runIf(available)('a ring', () => {
  test.each<RingOptions>([...WAYS.map((taskWork) => ({ taskWork })), { kernelPolling: true, kernelPollingIdleMs: 1 }])(
    'writes, reads and syncs with %j',
    (options) => {
      const ring = makeRing(options);
      expect(ring.taskWork).toBe(options.taskWork);
      const fd = file();
      const data = Buffer.from('twelve bytes');
      expect(ring.write(0, fd, data, 5)).toBe(true);
      expect(results(ring, 1)).toEqual(new Map([[0, 12]]));
      ring.write(1, fd, data, 100, RingFlag.durable);
      ring.datasync(2, fd);
      ring.sync(3, fd);
      expect(results(ring, 3)).toEqual(new Map(Object.entries({ 1: 12, 2: 0, 3: 0 }).map(([k, v]) => [Number(k), v])));
      const into = new Uint8Array(20);
      ring.read(0, fd, into, 0);
      expect(results(ring, 1)).toEqual(new Map([[0, 20]]));
      expect(Buffer.from(into).toString('latin1')).toBe(`${'\0'.repeat(5)}twelve bytes\0\0\0`);
      expect(ring.stats()).toMatchObject({ submitted: 5, completed: 5, fixedBuffer: 0, overflows: 0 });
    },
  );

  test('allocates, truncates and removes', () => {
    const ring = makeRing();
    const path = fileWith('abc');
    const fd = opened(path, 'r+');
    ring.allocate(0, fd, 100, 50);
    expect(results(ring, 1).get(0)).toBe(0);
    expect(readFileSync(path)).toHaveLength(150);
    if (ring.canTruncate) {
      ring.truncate(0, fd, 2);
      expect(results(ring, 1).get(0)).toBe(0);
      expect(readFileSync(path, 'utf8')).toBe('ab');
    }
    ring.remove(0, path);
    expect(results(ring, 1).get(0)).toBe(0);
    ring.remove(0, path);
    expect(results(ring, 1).get(0)).toBe(-2);
  });

  test('one system call hands over what was put in, and waits for it', () => {
    const ring = makeRing();
    const fd = file();
    for (let slot = 0; slot < 10; slot++) ring.write(slot, fd, Buffer.alloc(10, slot), slot * 10);
    expect(ring.queued).toBe(10);
    expect(ring.stats().enters).toBe(0);
    expect(ring.wait(10)).toBe(10);
    expect(ring.queued).toBe(0);
    expect(ring.stats()).toMatchObject({ enters: 1, submitted: 10 });
    expect(ring.reap(new Int32Array(16), new Int32Array(16))).toBe(10);
    expect(ring.wait(1)).toBe(0);
    expect(ring.stats()).toMatchObject({ enters: 1, completed: 10 });
  });

  test('a linked operation begins when the one before has succeeded', () => {
    const ring = makeRing();
    const path = fileWith('');
    const fd = opened(path, 'r+');
    for (let round = 0; round < 50; round++) {
      ring.write(0, fd, Buffer.from('1'), 0, RingFlag.linked);
      ring.write(1, fd, Buffer.from('2'), 0, RingFlag.linked);
      ring.datasync(2, fd);
      expect([...results(ring, 3).values()]).toEqual([1, 1, 0]);
      expect(readFileSync(path, 'utf8')).toBe('2');
    }
  });

  test('a link behind one that failed is cancelled', () => {
    const ring = makeRing();
    const fd = file();
    const readOnly = opened(fileWith('abc'), 'r');
    ring.write(0, readOnly, Buffer.from('x'), 0, RingFlag.linked);
    ring.write(1, fd, Buffer.from('x'), 0, RingFlag.linked);
    ring.datasync(2, fd);
    ring.write(3, fd, Buffer.from('y'), 0);
    const found = results(ring, 4);
    expect([0, 1, 2, 3].map((slot) => found.get(slot))).toEqual([EBADF, ECANCELED, ECANCELED, 1]);
  });

  test('a full queue refuses, and has room again when it was submitted', () => {
    const ring = makeRing({ entries: 4 });
    const fd = file();
    const put = (slot: number) => ring.write(slot, fd, Buffer.from([slot]), slot);
    expect(ring.room).toBe(4);
    expect([0, 1, 2, 3, 4].map(put)).toEqual([true, true, true, true, false]);
    expect(ring.room).toBe(0);
    expect(ring.stats().queueFull).toBe(1);
    expect(ring.submit()).toBe(4);
    expect(ring.room).toBe(4);
    expect(put(4)).toBe(true);
    expect(new Set(results(ring, 5).values())).toEqual(new Set([1]));
  });

  test('with kernel polling, submitting makes room', () => {
    const ring = makeRing({ entries: 1, completionEntries: 64, kernelPolling: true, kernelPollingIdleMs: 1 });
    const fd = file();
    for (let slot = 0; slot < 50; slot++) {
      while (!ring.write(slot, fd, Buffer.from([slot]), slot)) ring.submit();
    }
    expect(results(ring, 50).size).toBe(50);
  });

  test('more completions than have room come back all the same, and are counted', () => {
    for (const taskWork of WAYS) {
      const ring = makeRing({ entries: 8, completionEntries: 8, slots: 100, taskWork });
      // What is in memory already is read at once: the completions are there when `submit` returns.
      const fd = opened(fileWith(Buffer.alloc(100)));
      for (let slot = 0; slot < 100; slot++) {
        while (!ring.read(slot, fd, new Uint8Array(1), slot)) ring.submit();
      }
      const found = results(ring, 100);
      expect(new Set(found.values())).toEqual(new Set([1]));
      expect(ring.stats().completed).toBe(100);
      expect(ring.stats().overflows).toBeGreaterThan(0);
    }
  });

  test('a write may be short', () => {
    const ring = makeRing();
    const fd = pipe(constants.O_NONBLOCK);
    ring.write(0, fd, Buffer.alloc(1_000_000), 0);
    const written = results(ring, 1).get(0) ?? 0;
    expect(written).toBeGreaterThan(0);
    expect(written).toBeLessThan(1_000_000);
  });

  test('what has not begun can be cancelled', () => {
    const ring = makeRing();
    const fd = pipe();
    ring.read(7, fd, new Uint8Array(10), 0);
    ring.submit();
    expect(ring.reap(new Int32Array(4), new Int32Array(4))).toBe(0);
    ring.cancel(7);
    expect(results(ring, 1)).toEqual(new Map([[7, ECANCELED]]));
    expect(ring.wait(1)).toBe(0);
  });

  test('waiting ends at the timeout', () => {
    const ring = makeRing();
    const fd = pipe();
    ring.read(0, fd, new Uint8Array(10), 0);
    const start = performance.now();
    ring.wait(1, 30);
    expect(performance.now() - start).toBeGreaterThanOrEqual(29);
    ring.wait(1, 0);
    expect(ring.reap(new Int32Array(4), new Int32Array(4))).toBe(0);
    writeSync(fd, 'hello');
    expect(results(ring, 1)).toEqual(new Map([[0, 5]]));
  });

  test('with nothing under way there is nothing to wait for', () => {
    const ring = makeRing();
    ring.wait(100);
    expect(ring.stats().enters).toBe(0);
  });

  test('a slot is taken until its operation was reaped', () => {
    const ring = makeRing({ slots: 2 });
    const fd = file();
    const taken = expect.objectContaining({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    ring.datasync(1, fd);
    expect(() => ring.datasync(1, fd)).toThrow(taken);
    expect(() => ring.datasync(2, fd)).toThrow(taken);
    results(ring, 1);
    expect(ring.datasync(1, fd)).toBe(true);
    results(ring, 1);
  });

  test('no more is reaped than fits', () => {
    const ring = makeRing();
    const fd = file();
    for (let slot = 0; slot < 5; slot++) ring.datasync(slot, fd);
    ring.wait(5);
    const values = new Int32Array(2);
    expect([1, 2, 3, 4].map(() => ring.reap(new Int32Array(3), values))).toEqual([2, 2, 1, 0]);
    expect(ring.reap(new Int32Array(0), values)).toBe(0);
  });

  test('the listener is called on the event loop until it has reaped', async () => {
    for (const taskWork of WAYS) {
      const ring = makeRing({ taskWork });
      const fd = file();
      const slots = new Int32Array(64);
      let reaped = 0;
      let inSubmit = false;
      const done = new Promise<void>((resolve) => {
        ring.onReady(() => {
          expect(inSubmit).toBe(false);
          reaped += ring.reap(slots, slots);
          if (reaped === 64) resolve();
        });
      });
      for (let slot = 0; slot < 64; slot++) {
        ring.datasync(slot, fd);
        inSubmit = true;
        if (slot % 8 === 7) ring.submit();
        inSubmit = false;
        if (slot === 31) await turn();
      }
      await done;
    }
  });

  test('the listener is not called for what was waited for', async () => {
    for (const taskWork of WAYS) {
      const ring = makeRing({ taskWork });
      const fd = file();
      let calls = 0;
      ring.onReady(() => {
        calls += 1;
      });
      for (let round = 0; round < 10; round++) {
        ring.datasync(0, fd);
        results(ring, 1);
      }
      for (let round = 0; round < 20; round++) await turn();
      expect(calls).toBe(0);
    }
  });

  test('reads and writes of registered buffers, and the kernel knows of them', () => {
    const ring = makeRing({ registeredBuffers: 3 });
    const path = fileWith('');
    const fd = opened(path, 'r+');
    const memory = allocateAligned(8192, 4096);
    const registered = (): string =>
      /UserBufs:\t(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${ring.fd}`, 'utf8'))?.[1] ?? '';
    ring.registerBuffer(2, memory);
    expect(registered()).toBe('3');
    memory.fill(7);
    ring.write(0, fd, memory.subarray(100, 600), 0, RingFlag.durable, 2);
    expect(results(ring, 1).get(0)).toBe(500);
    ring.read(0, fd, memory.subarray(4096), 0, 0, 2);
    expect(results(ring, 1).get(0)).toBe(500);
    expect(readFileSync(path)).toEqual(Buffer.alloc(500, 7));
    expect(ring.stats().fixedBuffer).toBe(2);
    // Memory outside of what is registered is refused by the kernel.
    ring.write(0, fd, new Uint8Array(10), 0, 0, 2);
    expect(results(ring, 1).get(0)).toBe(-14);
    ring.unregisterBuffer(2);
    ring.write(0, fd, memory, 0, 0, 2);
    expect(results(ring, 1).get(0)).toBe(-14);
    expect(thrownBy(() => ring.registerBuffer(3, memory)).code).toBe('EINVAL');
  });

  test('with kernel polling a thread of the kernel is there, until the ring is closed', async () => {
    const isPolled = (): boolean => threadNames().includes(`iou-sqp-${process.pid}`);
    expect(isPolled()).toBe(false);
    const ring = makeRing({ kernelPolling: true, kernelPollingIdleMs: 20_000 });
    while (!isPolled()) await turn();
    const fd = file();
    ring.datasync(0, fd);
    results(ring, 1);
    const { enters } = ring.stats();
    // It is awake now: submitting is no system call.
    ring.datasync(0, fd);
    expect(ring.submit()).toBe(1);
    expect(ring.stats().enters).toBe(enters);
    results(ring, 1);
    ring.close();
    while (isPolled()) await turn();
  });

  test('several rings do not affect each other', () => {
    const all = [1, 2, 3, 4].map(() => makeRing({ entries: 8 }));
    const fd = file();
    for (const [index, ring] of all.entries()) ring.write(index, fd, Buffer.alloc(index + 1), 0);
    for (const ring of all.toReversed()) ring.submit();
    for (const [index, ring] of all.entries()) expect(results(ring, 1)).toEqual(new Map([[index, index + 1]]));
  });

  test('closing waits for the kernel, and what was not handed over never happens', () => {
    const path = fileWith('');
    const fd = opened(path, 'r+');
    const ring = makeRing();
    ring.read(0, pipe(), new Uint8Array(10), 0);
    ring.write(1, fd, Buffer.alloc(100_000, 1), 0);
    ring.submit();
    ring.write(2, fd, Buffer.from('never'), 200_000);
    ring.close();
    ring.close();
    // What the kernel had not begun with was cancelled.
    const written = readFileSync(path);
    expect([0, 100_000]).toContain(written.length);
    expect(written.every((byte) => byte === 1)).toBe(true);
    const closed = expect.objectContaining({ code: 'ERR_WALSTACK_RING_CLOSED' });
    const slots = new Int32Array(1);
    for (const call of [
      () => ring.write(0, fd, new Uint8Array(1), 0),
      () => ring.read(0, fd, new Uint8Array(1), 0),
      () => ring.datasync(0, fd),
      () => ring.sync(0, fd),
      () => ring.allocate(0, fd, 0, 1),
      () => ring.truncate(0, fd, 0),
      () => ring.remove(0, path),
      () => ring.cancel(0),
      () => ring.submit(),
      () => ring.wait(1),
      () => ring.reap(slots, slots),
      () => ring.room,
      () => ring.registerBuffer(0, slots as never),
    ]) {
      expect(call).toThrow(closed);
    }
    expect(ring.stats().submitted).toBeGreaterThanOrEqual(2);
  });

  test('a descriptor that was closed is an error of the operation', () => {
    const ring = makeRing();
    const fd = file();
    closeSync(fd);
    ring.datasync(0, fd);
    expect(results(ring, 1).get(0)).toBe(EBADF);
  });

  test('a directory can be synced', () => {
    const ring = makeRing();
    const path = join(temporaryDirectory(), 'directory');
    mkdirSync(path);
    writeFileSync(join(path, 'file'), '');
    ring.sync(0, opened(path));
    expect(results(ring, 1).get(0)).toBe(0);
  });

  test('wrong arguments are refused before anything is put in', () => {
    const ring = makeRing({ slots: 4 });
    const fd = file();
    const data = new Uint8Array(1);
    const typeError = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    const rangeError = expect.objectContaining({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    for (const call of [
      () => new Ring({ entries: '1' as never }),
      () => new Ring({ kernelPolling: 1 as never }),
      () => ring.write('0' as never, fd, data, 0),
      () => ring.write(0, undefined as never, data, 0),
      () => ring.write(0, fd, 'text' as never, 0),
      () => ring.write(0, fd, new Uint16Array(1) as never, 0),
      () => ring.read(0, fd, new ArrayBuffer(1) as never, 0),
      () => ring.remove(0, 5 as never),
      () => ring.remove(0, 'a\0b'),
      () => ring.reap(new Int32Array(1), new Float64Array(1) as never),
    ]) {
      expect(call).toThrow(typeError);
    }
    for (const call of [
      () => new Ring({ entries: 0 }),
      () => new Ring({ entries: 32_769 }),
      () => new Ring({ entries: 8, completionEntries: 7 }),
      () => new Ring({ slots: 0 }),
      () => new Ring({ kernelPollingIdleMs: 0 }),
      () => new Ring({ registeredBuffers: 16_385 }),
      () => new Ring({ taskWork: 'lazy' as never }),
      () => ring.write(-1, fd, data, 0),
      () => ring.write(4, fd, data, 0),
      () => ring.write(0, -1, data, 0),
      () => ring.write(0, 2 ** 31, data, 0),
      () => ring.write(0, fd, data, -1),
      () => ring.write(0, fd, data, 0.5),
      () => ring.write(0, fd, data, Number.NaN),
      () => ring.write(0, fd, data, 0, 4),
      () => ring.write(0, fd, data, 0, 0, -2),
      () => ring.allocate(0, fd, 0, -1),
      () => ring.truncate(0, fd, 2 ** 53),
      () => ring.cancel(4),
      () => ring.wait(-1),
      () => ring.wait(1, -1),
    ]) {
      expect(call).toThrow(rangeError);
    }
    expect(ring.queued).toBe(0);
    expect(ring.room).toBe(256);
  });
});

test.runIf(!available)('without a ring, one sentence is the reason', () => {
  expect(ringSupport().reason).toMatch(/^.+\.$/);
  expect(() => new Ring()).toThrow();
});
