import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allocateAligned, Ring, RingFlag, ringSupport } from '@walstack/native';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ForgetFs, type ForgetFsReport, forgetFsUnavailable } from '../src/fuse/forgetfs.js';

const noFuse = await forgetFsUnavailable();
const available = ringSupport().available && noFuse === undefined;

describe.skipIf(!available)(`what a ring asks the kernel for (${noFuse ?? 'seen by a file system'})`, () => {
  let fs: ForgetFs;
  let ring: Ring;
  let fd: number;
  let memory: Uint8Array;

  beforeAll(async () => {
    fs = await ForgetFs.mount();
    const path = join(fs.path, 'file');
    writeFileSync(path, Buffer.alloc(4096));
    fd = openSync(path, constants.O_RDWR | constants.O_DIRECT);
    memory = allocateAligned(4096, 4096);
    ring = new Ring({ entries: 8, registeredBuffers: 1 });
    ring.registerBuffer(0, memory);
  });

  afterAll(async () => {
    ring.close();
    closeSync(fd);
    await fs.unmount();
  });

  /** What has reached the file system when an operation has come back. */
  function counted(put: () => boolean): Partial<ForgetFsReport['total']> {
    fs.reset();
    expect(put()).toBe(true);
    ring.wait(1);
    const slots = new Int32Array(1);
    const results = new Int32Array(1);
    expect(ring.reap(slots, results)).toBe(1);
    expect(results[0]).toBeGreaterThanOrEqual(0);
    const { write, dsyncWrites, fsync, fdatasync } = fs.report().total;
    return { write, dsyncWrites, fsync, fdatasync };
  }

  test('a write is a write, and a durable one says that it is', () => {
    const none = { fsync: 0, fdatasync: 0 };
    expect(counted(() => ring.write(0, fd, memory, 0))).toEqual({ write: 1, dsyncWrites: 0, ...none });
    expect(counted(() => ring.write(0, fd, memory, 0, RingFlag.durable))).toEqual({
      write: 1,
      dsyncWrites: 1,
      ...none,
    });
    expect(counted(() => ring.write(0, fd, memory, 0, RingFlag.durable, 0))).toEqual({
      write: 1,
      dsyncWrites: 1,
      ...none,
    });
  });

  test('a sync is one of everything, and a datasync one of what is needed to read the bytes', () => {
    const none = { write: 0, dsyncWrites: 0 };
    counted(() => ring.write(0, fd, memory, 0));
    expect(counted(() => ring.sync(0, fd))).toEqual({ ...none, fsync: 1, fdatasync: 0 });
    expect(counted(() => ring.datasync(0, fd))).toEqual({ ...none, fsync: 0, fdatasync: 1 });
  });
});
