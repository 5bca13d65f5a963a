import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { allocateAligned, Ring, ringSupport } from '@walstack/native';
import { CompletionBuffer, createIoUringStorageIo, openStorageIo } from '@walstack/storage-io';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ForgetFs, forgetFsUnavailable } from '../src/fuse/forgetfs.js';
import { removableDirectory } from '../test-kit/temporary-directory.js';

const ring = ringSupport();
const noFuse = await forgetFsUnavailable();

/** The descriptors of all rings of this process. */
const rings = (): number[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('[io_uring]') ? [Number(fd)] : [];
    } catch {
      return [];
    }
  });

/** Longer than anything else here takes. */
const SLOW_MS = 400;

describe.skipIf(!ring.available || noFuse !== undefined)(
  `a ring that cannot be entered any more (${noFuse ?? 'on a slow disk'})`,
  () => {
    let fs: ForgetFs;

    beforeEach(async () => {
      fs = await ForgetFs.mount();
    });

    afterEach(() => fs.unmount());

    test.each(['cooperative', 'deferred', 'interrupting', undefined] as const)(
      'closing waits until the kernel has done with all memory (%s)',
      (taskWork) => {
        const path = join(fs.path, 'file');
        writeFileSync(path, Buffer.alloc(8 * 4096, 1));
        const fd = openSync(path, constants.O_RDWR | constants.O_DIRECT);
        const made = new Ring({
          entries: 8,
          ...(taskWork === undefined ? { kernelPolling: true } : { taskWork }),
        });
        const memory = Array.from({ length: 8 }, () => allocateAligned(4096, 4096));
        fs.reset();
        fs.delay(SLOW_MS, { operation: 'any', times: 8, pattern: 'file' });
        for (const [slot, each] of memory.entries()) {
          if (slot % 2 === 0) made.read(slot, fd, each, slot * 4096);
          else made.write(slot, fd, each, slot * 4096);
        }
        made.submit();
        while (fs.report().total.read + fs.report().total.write < 8);
        closeSync(made.fd);
        made.close();
        const { bytesRead, bytesWritten } = fs.report().total;
        expect([bytesRead, bytesWritten]).toEqual([4 * 4096, 4 * 4096]);
        closeSync(fd);
      },
    );

    test('the backend: what is reported as failed is on its way no more when it says so', async () => {
      const io = createIoUringStorageIo();
      const path = join(fs.path, 'file');
      writeFileSync(path, Buffer.alloc(24 * 4096, 1));
      const file = io.open(path, { direct: true });
      const made = rings();
      fs.reset();
      fs.delay(SLOW_MS, { operation: 'write', times: 24 });
      const memory = io.allocateBuffer(24 * 4096).fill(2);
      for (let block = 0; block < 24; block++) {
        io.submitWrite(file, memory.subarray(block * 4096, (block + 1) * 4096), block * 4096, { durable: true });
      }
      io.flush();
      while (fs.report().total.write < 24);
      for (const fd of made) closeSync(fd);
      const out = new CompletionBuffer();
      expect(io.waitCompletions(out, 24)).toBe(24);
      expect([...out.results.subarray(0, 24)].every((result) => result < 0)).toBe(true);
      expect(fs.report().total.bytesWritten).toBe(24 * 4096);
      await io.dispose();
    });
  },
);

describe.runIf(ring.available)('registered memory of a ring that has failed', () => {
  test('is collected without an uncaught exception, and allocated without a place', () => {
    const program = `
      import { closeSync, mkdtempSync, readdirSync, readlinkSync } from 'node:fs';
      import { setImmediate as turn } from 'node:timers/promises';
      import { CompletionBuffer, createIoUringStorageIo } from ${JSON.stringify(import.meta.resolve('@walstack/storage-io'))};
      process.on('uncaughtException', (error) => { console.log('uncaught', error); process.exit(1); });
      const io = createIoUringStorageIo({ registeredBuffers: 4 });
      let collected = 0;
      const registry = new FinalizationRegistry(() => { collected += 1; });
      for (let each = 0; each < 4; each++) registry.register(io.allocateBuffer(4096).buffer, 0);
      for (const fd of readdirSync('/proc/self/fd')) {
        try { if (readlinkSync('/proc/self/fd/' + fd).includes('[io_uring]')) closeSync(Number(fd)); } catch {}
      }
      io.submitSyncDirectory('.');
      io.waitCompletions(new CompletionBuffer(), 1);
      io.allocateBuffer(4096);
      while (collected < 4) { globalThis.gc(); await turn(); }
      for (let each = 0; each < 10; each++) await turn();
      await io.dispose();
      console.log('well');`;
    const options = ['--expose-gc', '--input-type=module', '--eval', program];
    expect(execFileSync(process.execPath, options, { encoding: 'utf8' })).toBe('well\n');
  });
});

/** Runs a program with one system call forbidden. */
const FORBID = `
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int count, char **values) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_enter, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (atoi(values[1]) & SECCOMP_RET_DATA)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
  if (count < 3 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 3;
  execv(values[2], values + 2);
  return 4;
}`;

const { directory, destroy } = removableDirectory();
const forbid = join(directory, 'forbid');
const compiled = spawnSync('cc', ['-x', 'c', '-o', forbid, '-'], { input: FORBID });

describe.skipIf(!ring.available || compiled.status !== 0)('where only io_uring_enter is forbidden', () => {
  afterEach(destroy);

  test('there is no ring, and auto takes another backend', () => {
    for (const errno of [1, 38]) {
      const program = `
        import { createIoUringStorageIo, openStorageIo, ringSupport } from ${JSON.stringify(import.meta.resolve('@walstack/storage-io'))};
        const { available, reason } = ringSupport();
        const codes = [];
        for (const kernelPolling of [false, true]) {
          try { createIoUringStorageIo({ kernelPolling }); } catch (error) { codes.push(error.code); }
        }
        console.log(JSON.stringify([available, reason, openStorageIo('auto').name, openStorageIo('auto', { needs: 'wait' }).name, codes]));`;
      const node = [process.execPath, '--input-type=module', '--eval', program];
      const env = { ...process.env, WALSTACK_IO: '' };
      const { stdout } = spawnSync(forbid, [`${errno}`, ...node], { encoding: 'utf8', env });
      const because = errno === 1 ? expect.stringContaining('forbidden') : expect.stringContaining('hides it');
      const unsupported = ['WAL_UNSUPPORTED', 'WAL_UNSUPPORTED'];
      expect(JSON.parse(stdout)).toEqual([false, because, 'thread-pool', 'sync-fs', unsupported]);
    }
  });
});

test.runIf(ring.available)('making a ring leaves no descriptor behind', async () => {
  const before = readdirSync('/proc/self/fd').length;
  for (let each = 0; each < 5; each++) await openStorageIo('io-uring').dispose();
  await turn();
  expect(readdirSync('/proc/self/fd').length).toBe(before);
});
