import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ringSupport } from '@walstack/native';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { fileWith } from './files.js';
import { runProgram } from './programs.js';

const { available } = ringSupport();

/** A pipe from which a read waits until something was written. */
function pipe(): string {
  const path = join(temporaryDirectory(), 'pipe');
  execFileSync('mkfifo', [path]);
  return path;
}

/** Runs a program that prints one line of JSON, and returns what it says. */
async function told(source: string, ...args: string[]): Promise<unknown> {
  const { stdout, stderr, code, signal } = await runProgram(`const args = process.argv.slice(1);\n${source}`, { args });
  expect({ stderr, code, signal }).toEqual({ stderr: '', code: 0, signal: null });
  return JSON.parse(stdout);
}

type RingCall = 'io_uring_setup' | 'io_uring_enter';

const ownCalls = new Map<RingCall, Promise<number>>();

/** How many of these calls Node.js makes in its main thread before a program begins: libuv has rings from Node.js 22 on. */
function callsOfNode(call: RingCall): Promise<number> {
  const known = ownCalls.get(call) ?? countCallsOfNode(call);
  ownCalls.set(call, known);
  return known;
}

async function countCallsOfNode(call: RingCall): Promise<number> {
  const log = join(temporaryDirectory(), 'calls');
  const node = ['strace', '-qq', '-o', log, '-e', `trace=${call},write`, process.execPath] as const;
  expect(await runProgram(`fs.writeSync(1, 'begins');`, { node })).toMatchObject({ code: 0, stdout: 'begins' });
  const lines = readFileSync(log, 'utf8').split('\n');
  const begins = lines.findIndex((line) => line.includes('"begins"'));
  return lines.slice(0, begins).filter((line) => line.startsWith(`${call}(`)).length;
}

/**
 * Runs a program in whose main thread system calls fail: all of this name, or some of those that the program makes, counted
 * from 1. It must give the event loop no turn, in which libuv may make such calls, too.
 */
async function tampered(
  call: RingCall,
  error: string,
  which: 'all' | readonly [first: number, last: number],
  source: string,
): Promise<unknown> {
  const others = which === 'all' ? 0 : await callsOfNode(call);
  const when = which === 'all' ? '' : `:when=${others + which[0]}..${others + which[1]}`;
  const injected = `inject=${call}:error=${error}${when}`;
  const node = ['strace', '-qq', '-o', '/dev/null', '-e', injected, process.execPath] as const;
  const { stdout, stderr, code } = await runProgram(source, { node });
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  return JSON.parse(stdout);
}

const canTamper =
  spawnSync('strace', ['-qq', '-o', '/dev/null', '-e', 'inject=getpid:error=EPERM', 'true']).status === 0;

describe.runIf(available)('the lifetime of a ring', () => {
  test('an idle ring does not keep the process alive, one with something under way does', async () => {
    expect(
      await told(
        `const ring = new native.Ring();
        const fd = fs.openSync(args[0], 'r+');
        const slots = new Int32Array(1), results = new Int32Array(1);
        let seen;
        ring.onReady(() => { if (ring.reap(slots, results) === 1) seen = results[0]; });
        ring.write(0, fd, Buffer.from('abc'), 0);
        ring.submit();
        process.on('exit', () => console.log(JSON.stringify(seen)));`,
        fileWith(''),
      ),
    ).toBe(3);
  });

  test('what the kernel has is kept, together with the ring, when nothing else refers to it', async () => {
    expect(
      await told(
        `const fd = fs.openSync(args[0], 'r+');
        const weak = [];
        let text = '';
        const begin = () => {
          const ring = new native.Ring();
          const into = new Uint8Array(1000);
          weak.push(new WeakRef(ring), new WeakRef(into));
          const slots = new Int32Array(1), results = new Int32Array(1);
          ring.onReady(() => {
            if (ring.reap(slots, results) === 1) text = Buffer.from(into.subarray(0, results[0])).toString();
          });
          ring.read(0, fd, into, 0);
          ring.submit();
        };
        begin();
        await collect();
        const kept = weak.map((ref) => ref.deref() !== undefined);
        fs.writeSync(fd, 'written into memory that nothing else refers to');
        while (text === '') await turn();
        await collect();
        console.log(JSON.stringify({ kept, text, left: weak.map((ref) => ref.deref() !== undefined) }));`,
        pipe(),
      ),
    ).toEqual({ kept: [true, true], text: 'written into memory that nothing else refers to', left: [false, false] });
  });

  test('collected rings leave nothing behind', async () => {
    expect(
      await told(
        `// Those of libuv, which has rings of its own from Node.js 22 on.
        const others = mappingsOf('io_uring');
        const fd = fs.openSync(args[0], 'r+');
        const use = () => {
          const ring = new native.Ring({ registeredBuffers: 2 });
          ring.registerBuffer(0, native.allocateAligned(4096, 4096));
          ring.datasync(0, fd);
          ring.wait(1);
          ring.reap(new Int32Array(1), new Int32Array(1));
        };
        use();
        await collect();
        const before = openFiles();
        for (let round = 0; round < 40; round++) use();
        await collect();
        console.log(JSON.stringify(openFiles() - before + mappingsOf('io_uring') - others));`,
        fileWith(''),
      ),
    ).toBe(0);
  });

  test('a signal that interrupts waiting does not end it', async () => {
    expect(
      await told(
        `const { Worker } = await import('node:worker_threads');
        const fd = fs.openSync(args[0], 'r+');
        const ring = new native.Ring();
        process.on('SIGUSR2', () => {});
        const code = \`const fs = require('fs');
          const shared = require('worker_threads').workerData;
          Atomics.wait(shared, 0, 0);
          for (let round = 0; round < 50; round++) {
            Atomics.wait(shared, 0, 1, 10);
            process.kill(process.pid, 'SIGUSR2');
          }
          Atomics.wait(shared, 0, 1, 10);
          fs.writeSync(\${fd}, 'done');\`;
        const shared = new Int32Array(new SharedArrayBuffer(4));
        const worker = new Worker(code, { eval: true, execArgv: [], workerData: shared });
        await new Promise((resolve) => worker.once('online', resolve));
        const into = new Uint8Array(10);
        ring.read(0, fd, into, 0);
        shared[0] = 1;
        Atomics.notify(shared, 0);
        ring.wait(1);
        const results = new Int32Array(1);
        const count = ring.reap(new Int32Array(1), results);
        console.log(JSON.stringify([count, results[0], ring.stats().interrupted > 0]));`,
        pipe(),
      ),
    ).toEqual([1, 4, true]);
  });

  test('a program that is started has nothing of the ring', async () => {
    expect(
      await told(
        `const { execFileSync } = await import('node:child_process');
        const ring = new native.Ring();
        const list = execFileSync('ls', ['-l', '/proc/self/fd']).toString();
        const here = fs.readdirSync('/proc/self/fd').flatMap((fd) => {
          try { return [fs.readlinkSync('/proc/self/fd/' + fd)]; } catch { return []; }
        });
        console.log(JSON.stringify([here.join().includes('io_uring'), list.includes('io_uring')]));`,
      ),
    ).toEqual([true, false]);
  });

  test('worker threads that are torn down in mid-flight leave nothing behind', async () => {
    expect(
      await told(
        `const others = mappingsOf('io_uring');
        const { Worker } = await import('node:worker_threads');
        const code = \`
          import * as native from \${JSON.stringify(args[2])};
          import fs from 'node:fs';
          import { parentPort, workerData } from 'node:worker_threads';
          const ring = new native.Ring({ entries: 32 });
          const pipe = fs.openSync(workerData[0], 'r+');
          const file = fs.openSync(workerData[1], 'r+');
          ring.read(0, pipe, new Uint8Array(100000), 0);
          ring.submit();
          const slots = new Int32Array(32), results = new Int32Array(32);
          const write = (slot) => ring.write(slot, file, new Uint8Array(65536).fill(slot), slot * 65536, 1);
          ring.onReady(() => {
            const count = ring.reap(slots, results);
            for (let index = 0; index < count; index++) write(slots[index]);
            ring.submit();
          });
          for (let slot = 1; slot < 10; slot++) write(slot);
          ring.submit();
          parentPort.postMessage('writing');\`;
        const url = new URL('data:text/javascript,' + encodeURIComponent(code));
        const round = async () => {
          const worker = new Worker(url, { workerData: args });
          await new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject); });
          await worker.terminate();
        };
        await round();
        const before = openFiles();
        for (let count = 0; count < 12; count++) await round();
        console.log(JSON.stringify([openFiles() - before, mappingsOf('io_uring') - others]));`,
        pipe(),
        fileWith(''),
        new URL('../dist/index.js', import.meta.url).href,
      ),
    ).toEqual([0, 0]);
  });

  test('a listener that throws is an uncaught exception, and the ring continues', async () => {
    expect(
      await told(
        `const fd = fs.openSync(args[0], 'r+');
        const ring = new native.Ring();
        const seen = [];
        process.on('uncaughtException', (error) => seen.push(error.message));
        const slots = new Int32Array(1), results = new Int32Array(1);
        let reaped = 0;
        ring.onReady(() => { reaped += ring.reap(slots, results); throw new Error('thrown ' + reaped); });
        for (let round = 1; round <= 2; round++) {
          ring.datasync(0, fd);
          ring.submit();
          while (reaped < round) await turn();
        }
        console.log(JSON.stringify([...new Set(seen)].filter((message) => message !== 'thrown 0')));`,
        fileWith(''),
      ),
    ).toEqual(['thrown 1', 'thrown 2']);
  });
});

test('without the addon there is no ring, and the reason is the addon', async () => {
  const { stdout } = await runProgram('console.log(JSON.stringify(native.ringSupport()));', {
    env: { WALSTACK_NATIVE: '0' },
  });
  expect(JSON.parse(stdout)).toEqual({ available: false, reason: expect.stringContaining('WALSTACK_NATIVE=0') });
});

describe.runIf(available && canTamper)('a kernel that refuses', () => {
  const support = 'console.log(JSON.stringify(native.ringSupport().reason));';

  test.each([
    ['ENOSYS', 'Linux 5.11'],
    ['EPERM', 'kernel.io_uring_disabled'],
    ['EACCES', 'kernel.io_uring_disabled'],
    ['ENOMEM', 'ulimit -l'],
    ['EMFILE', 'open files'],
  ])('%s is one sentence', async (error, words) => {
    const reason = await tampered('io_uring_setup', error, 'all', support);
    expect(reason).toMatch(/^[^.]*(5\.11|kernel\.io_uring_disabled)?[^.]*\.$/);
    expect(reason).toContain(words);
  });

  test('a kernel that does not know the best way gets the next one', async () => {
    const way = `const ring = new native.Ring();
      ring.remove(0, '/nowhere/at/all');
      ring.wait(1);
      const results = new Int32Array(1);
      ring.reap(new Int32Array(1), results);
      console.log(JSON.stringify([ring.taskWork, results[0]]));`;
    expect(await tampered('io_uring_setup', 'EINVAL', [1, 1], way)).toEqual(['cooperative', -2]);
    expect(await tampered('io_uring_setup', 'EINVAL', [1, 2], way)).toEqual(['interrupting', -2]);
  });

  test.each(['EAGAIN', 'EBUSY'])('%s leaves what was put in queued', async (error) => {
    const program = `const ring = new native.Ring();
      const slots = new Int32Array(4), results = new Int32Array(4);
      ring.remove(0, '/nowhere/at/all');
      const said = [ring.submit(), ring.queued, ring.stats().refused, ring.submit(), ring.queued];
      ring.wait(1);
      said.push(ring.reap(slots, results), results[0]);
      console.log(JSON.stringify(said));`;
    expect(await tampered('io_uring_enter', error, [2, 2], program)).toEqual([0, 1, 1, 1, 0, 1, -2]);
  });

  test('waiting continues although the kernel temporarily accepts nothing new', async () => {
    const program = `const ring = new native.Ring({ taskWork: 'interrupting' });
      const slots = new Int32Array(4), results = new Int32Array(4);
      ring.remove(0, '/nowhere/at/all');
      ring.submit();
      ring.remove(1, '/nowhere/at/all');
      ring.wait(2);
      const said = [ring.reap(slots, results), slots[0], ring.queued];
      ring.wait(1);
      said.push(ring.reap(slots, results), slots[0], ring.queued);
      console.log(JSON.stringify(said));`;
    expect(await tampered('io_uring_enter', 'EBUSY', [3, 3], program)).toEqual([1, 0, 1, 1, 1, 0]);
  });

  test('a ring that may be made and not be entered is none; one that has no room for a moment is', async () => {
    const support = `console.log(JSON.stringify(native.ringSupport()));`;
    expect(await tampered('io_uring_enter', 'EPERM', [1, 1], support)).toEqual({
      available: false,
      reason: expect.stringContaining('forbidden here (EPERM)'),
    });
    const used = `const ring = new native.Ring();
      ring.remove(0, '/nowhere/at/all');
      ring.wait(1);
      const slots = new Int32Array(4), results = new Int32Array(4);
      console.log(JSON.stringify([ring.reap(slots, results), results[0], ring.stats().enters]));`;
    expect(await tampered('io_uring_enter', 'EAGAIN', [1, 1], used)).toEqual([1, -2, 1]);
  });

  test('any other error of the ring is thrown', async () => {
    const program = `const ring = new native.Ring();
      ring.remove(0, '/nowhere/at/all');
      try { ring.submit(); } catch ({ code, syscall }) { console.log(JSON.stringify([code, syscall, ring.queued])); }`;
    expect(await tampered('io_uring_enter', 'EBADF', [2, 2], program)).toEqual(['EBADF', 'io_uring_enter', 1]);
  });
});
