import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, ftruncateSync, readFileSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import {
  available,
  lockFile,
  type Mapping,
  type MappingAdvice,
  mapFile,
  mappingUnavailableReason,
} from '@walstack/native';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { fileWith, opened, thrownBy } from './files.js';
import { nodes, runInWorker, runProgram } from './programs.js';

const entry = new URL('../dist/index.js', import.meta.url).href;

const onLinux = process.platform === 'linux';

/** Bytes that differ from their neighbours. */
function content(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++) bytes[index] = index * 31 + (index >> 8);
  return bytes;
}

const PAGE = 4096;
/** What every page size of Linux divides. */
const LARGEST_PAGE = 65_536;
const TMPFS = 0x01021994;

/** A file of this content, mapped. */
function mapped(bytes: Uint8Array, length?: number): { path: string; mapping: Mapping } {
  const path = fileWith(bytes);
  const fd = opened(path, 'r+');
  return { path, mapping: mapFile(fd, length === undefined ? {} : { length }) };
}

describe.runIf(available && process.platform !== 'win32')('mapFile', () => {
  it('is there', () => expect(mappingUnavailableReason).toBe(undefined));

  it('shows what is in the file, whatever its length', () => {
    for (const length of [1, 100, PAGE - 1, PAGE, PAGE + 1, 300_001]) {
      const { mapping } = mapped(content(length));
      expect(mapping.length).toBe(length);
      expect(Buffer.compare(new Uint8Array(mapping.buffer), content(length))).toBe(0);
      mapping.unmap();
    }
  });

  it('maps a part from the start', () => {
    const { mapping } = mapped(content(10_000), 5000);
    expect(Buffer.compare(new Uint8Array(mapping.buffer), content(5000))).toBe(0);
    mapping.unmap();
  });

  it('maps a part from anywhere in the file where a page begins', () => {
    const all = content(5 * LARGEST_PAGE + 100);
    const fd = opened(fileWith(all), 'r+');
    const mapping = mapFile(fd, { offset: 2 * LARGEST_PAGE });
    expect(Buffer.compare(new Uint8Array(mapping.buffer), all.subarray(2 * LARGEST_PAGE))).toBe(0);
    const part = mapFile(fd, { offset: 4 * LARGEST_PAGE, length: LARGEST_PAGE + 50 });
    expect(Buffer.compare(new Uint8Array(part.buffer), all.subarray(4 * LARGEST_PAGE, 5 * LARGEST_PAGE + 50))).toBe(0);
    part.load();
    part.checkNotCut();
    ftruncateSync(fd, 5 * LARGEST_PAGE);
    part.checkNotCut(0, LARGEST_PAGE);
    expect(thrownBy(() => part.checkNotCut(LARGEST_PAGE, 1)).code).toBe('ERR_WALSTACK_FILE_CUT');
    for (const options of [
      { offset: 1 },
      { offset: 512, length: 1 },
      { offset: LARGEST_PAGE - 1 },
      { offset: 4 * LARGEST_PAGE, length: LARGEST_PAGE + 1 },
      { offset: 6 * LARGEST_PAGE },
      { offset: -LARGEST_PAGE },
      { offset: Number.NaN },
      { offset: 2 ** 53 - LARGEST_PAGE, length: LARGEST_PAGE },
    ]) {
      expect(thrownBy(() => mapFile(fd, options)).code, JSON.stringify(options)).toBe('ERR_OUT_OF_RANGE');
    }
    expect(mapFile(fd, { offset: 5 * LARGEST_PAGE }).length).toBe(0);
    mapping.unmap();
    part.unmap();
  });

  it('makes an empty buffer of nothing, and every call works on it', () => {
    for (const { mapping } of [mapped(new Uint8Array(0)), mapped(content(100), 0)]) {
      expect(mapping.length).toBe(0);
      expect(mapping.buffer.byteLength).toBe(0);
      mapping.advise('willneed');
      mapping.checkNotCut();
      mapping.load();
      mapping.release();
      expect(mapping.residentBytes()).toBe(0);
      expect(thrownBy(() => mapping.load(0, 1)).code).toBe('ERR_OUT_OF_RANGE');
      mapping.unmap();
      expect(mapping.mapped).toBe(false);
    }
  });

  it('stays when the file is closed', () => {
    const path = fileWith(content(20_000));
    const fd = opened(path);
    const mapping = mapFile(fd);
    closeSync(fd);
    mapping.release();
    mapping.load();
    expect(Buffer.compare(new Uint8Array(mapping.buffer), content(20_000))).toBe(0);
    mapping.unmap();
  });

  it('keeps what is written to the buffer away from the file and from other mappings', () => {
    const { path, mapping } = mapped(content(20_000));
    const other = mapFile(opened(path));
    const view = new Uint8Array(mapping.buffer);
    view.fill(0);
    expect(view[5000]).toBe(0);
    expect(Buffer.compare(new Uint8Array(other.buffer), content(20_000))).toBe(0);
    expect(Buffer.compare(readFileSync(path), content(20_000))).toBe(0);
    mapping.unmap();
    other.unmap();
    expect(Buffer.compare(readFileSync(path), content(20_000))).toBe(0);
  });

  it('shows a file with what was written to it before', () => {
    const { path, mapping } = mapped(content(PAGE));
    writeFileSync(path, new Uint8Array(PAGE).fill(9), { flag: 'r+' });
    expect(new Uint8Array(mapping.buffer).every((byte) => byte === 9)).toBe(true);
    mapping.unmap();
  });

  it('reports what is wrong with the file', () => {
    const path = fileWith(content(100));
    const closed = opened(path);
    closeSync(closed);
    expect(thrownBy(() => mapFile(closed)).code).toBe('EBADF');
    expect(thrownBy(() => mapFile(closed, { length: 1 }))).toMatchObject({ code: 'EBADF', syscall: 'fstat' });
    expect(thrownBy(() => mapFile(opened(path, 'a')))).toMatchObject({ code: 'EACCES', syscall: 'mmap' });
    expect(thrownBy(() => mapFile(opened(temporaryDirectory()))).code).toBe('ENODEV');
    expect(thrownBy(() => mapFile(opened('/dev/null'))).code).toBe('ENODEV');
  });

  it('refuses wrong arguments', () => {
    const fd = opened(fileWith(content(100)));
    for (const [wrong, code] of [
      [undefined, 'ERR_INVALID_ARG_TYPE'],
      ['1', 'ERR_INVALID_ARG_TYPE'],
      [1n, 'ERR_INVALID_ARG_TYPE'],
      [{}, 'ERR_INVALID_ARG_TYPE'],
      [-1, 'ERR_OUT_OF_RANGE'],
      [0.5, 'ERR_OUT_OF_RANGE'],
      [2 ** 31, 'ERR_OUT_OF_RANGE'],
    ] as const) {
      expect(thrownBy(() => mapFile(wrong as number)).code).toBe(code);
    }
    for (const [length, code] of [
      ['1', 'ERR_INVALID_ARG_TYPE'],
      [null, 'ERR_INVALID_ARG_TYPE'],
      [-1, 'ERR_OUT_OF_RANGE'],
      [0.5, 'ERR_OUT_OF_RANGE'],
      [101, 'ERR_OUT_OF_RANGE'],
      [2 ** 32, 'ERR_OUT_OF_RANGE'],
      [Number.MAX_SAFE_INTEGER, 'ERR_OUT_OF_RANGE'],
      [Number.POSITIVE_INFINITY, 'ERR_OUT_OF_RANGE'],
      [Number.NaN, 'ERR_OUT_OF_RANGE'],
    ] as const) {
      expect(thrownBy(() => mapFile(fd, { length: length as number })).code, String(length)).toBe(code);
    }
    expect(thrownBy(() => mapFile(fd, null as unknown as object)).code).toBe('ERR_INVALID_ARG_TYPE');
    expect(thrownBy(() => mapFile(fd, { size: 1 } as object)).code).toBe('ERR_INVALID_ARG_TYPE');
  });

  it('refuses ranges outside the mapping', () => {
    const { mapping } = mapped(content(5000));
    const calls = [
      mapping.checkNotCut.bind(mapping),
      mapping.load.bind(mapping),
      mapping.residentBytes.bind(mapping),
      mapping.release.bind(mapping),
      mapping.advise.bind(mapping, 'normal'),
    ];
    for (const call of calls) {
      for (const [offset, length] of [
        [0, 5001],
        [5000, 1],
        [5001, 0],
        [-1, 1],
        [0, -1],
        [0.5, 1],
        [Number.NaN, 0],
        [2 ** 60, 1],
        [1, 2 ** 60],
      ] as const) {
        expect(thrownBy(() => call(offset, length)).code, `${offset}, ${length}`).toBe('ERR_OUT_OF_RANGE');
      }
      expect(thrownBy(() => call(5001)).code).toBe('ERR_OUT_OF_RANGE');
      expect(thrownBy(() => call('0' as unknown as number, 1)).code).toBe('ERR_INVALID_ARG_TYPE');
      expect(thrownBy(() => call(0, 1n as unknown as number)).code).toBe('ERR_INVALID_ARG_TYPE');
      call(5000, 0);
      call(5000);
      call(0, 5000);
    }
    expect(thrownBy(() => mapping.advise('Normal' as MappingAdvice)).code).toBe('ERR_OUT_OF_RANGE');
    expect(thrownBy(() => mapping.advise(1 as unknown as MappingAdvice)).code).toBe('ERR_INVALID_ARG_TYPE');
    mapping.unmap();
  });

  it('accepts every advice, and what is read stays the same', () => {
    const { mapping } = mapped(content(50_000));
    for (const advice of ['sequential', 'random', 'willneed', 'dontneed', 'normal'] as const) {
      mapping.advise(advice);
      mapping.advise(advice, 10_000, 10_000);
      mapping.advise(advice, 49_999);
      expect(Buffer.compare(new Uint8Array(mapping.buffer), content(50_000))).toBe(0);
    }
    mapping.unmap();
  });

  it.runIf(onLinux)('is empty once unmapped, and its calls throw', () => {
    const { mapping } = mapped(content(5000));
    const { buffer } = mapping;
    const view = new Uint8Array(buffer, 100, 10);
    mapping.unmap();
    expect(buffer.byteLength).toBe(0);
    expect(view.length).toBe(0);
    expect(view[0]).toBe(undefined);
    expect(mapping.mapped).toBe(false);
    for (const call of [
      () => mapping.load(),
      () => mapping.checkNotCut(),
      () => mapping.advise('normal'),
      () => mapping.residentBytes(),
      () => mapping.release(),
    ]) {
      expect(thrownBy(call).code).toBe('ERR_WALSTACK_UNMAPPED');
    }
    mapping.unmap();
    mapping[Symbol.dispose]();
  });
});

describe.runIf(available && onLinux)('the pages of a mapping', () => {
  it('are resident when they were read, and not when they were released', () => {
    const half = 4 * 1024 * 1024;
    const bytes = 2 * half + 100;
    const { path, mapping } = mapped(content(bytes));
    // What is not on disk yet cannot leave the page cache.
    fsyncSync(opened(path, 'r+'));
    mapping.load();
    expect(mapping.residentBytes()).toBe(bytes);
    expect(mapping.residentBytes(10, 5000)).toBe(5000);
    expect(mapping.residentBytes(2 * half)).toBe(100);
    // A file system in memory has no other place for them.
    if (statfsSync(path).type === TMPFS) return;
    mapping.release(0, half);
    expect(mapping.residentBytes(0, half)).toBe(0);
    expect(mapping.residentBytes(half)).toBe(half + 100);
    mapping.release();
    expect(mapping.residentBytes()).toBe(0);
    expect(new Uint8Array(mapping.buffer)[bytes - 1]).toBe(content(bytes)[bytes - 1]);
    expect(mapping.residentBytes(bytes - 1)).toBe(1);
    mapping.load();
    // qemu accepts the advice to read what is missing, and does nothing.
    if (process.env['WALSTACK_TEST_EMULATED'] !== '1') expect(mapping.residentBytes()).toBe(bytes);
    mapping.unmap();
  });

  it('are released as a whole or not at all', () => {
    const { mapping } = mapped(content(4 * PAGE));
    const view = new Uint8Array(mapping.buffer);
    // Written pages are this mapping's own, and forgotten when they are released.
    view.fill(1);
    mapping.release(100, 2 * PAGE);
    expect([0, 1, 2, 3].map((page) => view[page * PAGE + 7])).toEqual([1, content(2 * PAGE)[PAGE + 7], 1, 1]);
    mapping.advise('dontneed', 2 * PAGE - 1, PAGE + 1);
    expect(view[2 * PAGE + 7]).toBe(content(3 * PAGE)[2 * PAGE + 7]);
    expect(view[3 * PAGE + 7]).toBe(1);
    mapping.unmap();
  });

  it('that were cut off are an error before they are read', () => {
    const { path, mapping } = mapped(content(10 * PAGE));
    truncateSync(path, 5 * PAGE + 10);
    for (const check of [mapping.checkNotCut.bind(mapping), mapping.load.bind(mapping)]) {
      expect(thrownBy(() => check())).toMatchObject({
        code: 'ERR_WALSTACK_FILE_CUT',
        message: expect.stringContaining(`cut to ${5 * PAGE + 10} bytes while it was mapped up to ${10 * PAGE}`),
      });
      expect(thrownBy(() => check(5 * PAGE, 11)).code).toBe('ERR_WALSTACK_FILE_CUT');
      check(0, 5 * PAGE + 10);
      check(10 * PAGE, 0);
    }
    truncateSync(path, 20 * PAGE);
    mapping.load();
    mapping.unmap();
  });

  it('keep the lock of their file, until they are unmapped', async () => {
    const path = fileWith(content(PAGE));
    const fd = opened(path);
    expect(lockFile(fd, 'shared')).toBe(true);
    const mapping = mapFile(fd);
    closeSync(fd);
    const other = opened(path, 'r+');
    expect(lockFile(other, 'exclusive')).toBe(false);
    mapping.unmap();
    // Its finalizer runs in a turn of its own.
    while (!lockFile(other, 'exclusive')) await turn();
  });

  it('are mapped and unmapped in worker threads', async () => {
    const path = fileWith(content(PAGE));
    const posted = await runInWorker(
      `const mapping = native.mapFile(fs.openSync(workerData, 'r'));
      const copy = new Uint8Array(mapping.buffer).slice();
      mapping.unmap();
      parentPort.postMessage(copy);`,
      path,
    );
    expect(posted).toEqual(content(PAGE));
  });
});

/** Maps a file of ten pages of ones and cuts it to two and a half; \`flags\` says of two mappings whether they are broken. */
const CUT = `
const path = process.argv[1] ?? workerData;
fs.writeFileSync(path, Buffer.alloc(40960, 1));
const [first, other] = [native.mapFile(fs.openSync(path, 'r'), { length: 40960 }), native.mapFile(fs.openSync(path, 'r'))];
const bytes = new Uint8Array(first.buffer);
bytes[9000] = 2;
fs.truncateSync(path, 10240);
const flags = () => [first.isBroken, other.isBroken];
const thrownBy = (call) => { try { call(); } catch (error) { return error.code; } };
`;

describe.runIf(available && onLinux)('memory that is touched when it was cut off', () => {
  const touch = `${CUT}
    const seen = [];
    seen.push(bytes[0], bytes[9000], ...flags());
    seen.push(bytes[20480], bytes[40959], ...flags());
    bytes[30000] = 7;
    seen.push(bytes[30000], native.crc32c(bytes, 0, 12288, 20480) === native.crc32c(new Uint8Array(8192)));
    seen.push(Buffer.from(first.buffer).indexOf(7), bytes.slice(32768, 32770).join());
    seen.push(thrownBy(() => first.checkNotCut(0, 4096)), thrownBy(() => first.load(0, 4096)));
    seen.push(thrownBy(() => other.checkNotCut(0, 4096)));
    fs.truncateSync(path, 40960);
    seen.push(thrownBy(() => first.checkNotCut()), thrownBy(() => other.checkNotCut()), ...flags());
    seen.push(new Uint8Array(other.buffer)[20480], ...flags());
    const third = native.mapFile(fs.openSync(path, 'r'));
    seen.push(third.isBroken);
    first.unmap();
    seen.push(first.isBroken, third.isBroken);
  `;
  const cut = 'ERR_WALSTACK_FILE_CUT';
  const seen = [
    ...[1, 2, false, false],
    ...[0, 0, true, false],
    ...[7, true],
    ...[30_000, '0,0'],
    ...[cut, cut],
    null,
    ...[cut, null, true, false],
    ...[0, true, false],
    false,
    ...[true, false],
  ];

  it.each(nodes)('is zeros, and its mapping is broken, in %s', async (_name, node) => {
    const path = fileWith('');
    const ended = await runProgram(`${touch}console.log(JSON.stringify(seen));`, { args: [path], node });
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect(JSON.parse(ended.stdout)).toEqual(seen);
  });

  it('is zeros in a worker thread as well', async () => {
    const posted = await runInWorker(`${touch}parentPort.postMessage(JSON.stringify(seen));`, fileWith(''));
    expect(JSON.parse(posted as string)).toEqual(seen);
  });

  it('is zeros in compiled code that reads it over and over, and in memory that was moved away', async () => {
    const source = `${CUT}
      let sum = 0;
      const view = new DataView(other.buffer);
      const add = (from, to) => { for (let at = from; at < to; at += 8) sum += view.getInt32(at, true) & 1; };
      for (let round = 0; round < 200; round++) add(0, 10240);
      sum = 0;
      add(0, 40960);
      console.log(sum, ...flags());
      const { buffer } = first;
      const moved = new Uint8Array(typeof buffer.transfer === 'function' ? buffer.transfer() : structuredClone(buffer));
      console.log(moved[0], moved[39000], ...flags());`;
    const ended = await runProgram(source, { args: [fileWith('')] });
    expect(ended).toMatchObject({ code: 0, signal: null, stdout: '1280 false true\n1 0 true true\n' });
  });

  it('leaves every other SIGBUS to the previous handler, also when the thread that mapped has ended', async () => {
    // A sanitizer that the tests run with has a handler of its own.
    const env = { ...process.env, ASAN_OPTIONS: `${process.env['ASAN_OPTIONS'] ?? ''}:handle_sigbus=0` };
    const sent = await runProgram(
      `${CUT}
      bytes[40959];
      process.kill(process.pid, 'SIGBUS');
      setInterval(() => {}, 1000);`,
      { args: [fileWith('')], env },
    );
    expect(sent).toMatchObject({ signal: 'SIGBUS' });

    // Only the worker loads the addon.
    const inWorker = `import * as native from ${JSON.stringify(entry)};
      import * as fs from 'node:fs';
      import { parentPort, workerData } from 'node:worker_threads';
      ${CUT.replace('process.argv[1] ?? ', '')}
      bytes[40959];
      parentPort.postMessage(flags());`;
    const program = `import { Worker } from 'node:worker_threads';
      import { once } from 'node:events';
      const source = new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(inWorker)}));
      const worker = new Worker(source, { workerData: process.argv[1] });
      worker.on('message', (flags) => console.log(...flags));
      await once(worker, 'exit');
      process.kill(process.pid, 'SIGBUS');
      setInterval(() => {}, 1000);`;
    const ended = spawnSync(process.execPath, ['--input-type=module', '--eval', program, fileWith('')], {
      encoding: 'utf8',
      env,
    });
    expect(ended).toMatchObject({ signal: 'SIGBUS', stdout: 'true false\n' });
  });

  it('is guarded beside a listener for the signal that was there before, and after one that came and went', async () => {
    const before = await runProgram(
      `
      const heard = new Promise((resolve) => process.once('SIGBUS', resolve));
      ${CUT}
      console.log(bytes[40959], ...flags());
      const alive = setInterval(() => {}, 1000);
      process.kill(process.pid, 'SIGBUS');
      console.log(await heard);
      clearInterval(alive);`,
      { args: [fileWith('')] },
    );
    expect(before).toMatchObject({ code: 0, signal: null, stdout: '0 true false\nSIGBUS\n' });

    const after = await runProgram(
      `${CUT}
      process.once('SIGBUS', () => {});
      process.removeAllListeners('SIGBUS');
      const again = native.mapFile(fs.openSync(path, 'r+'));
      fs.truncateSync(path, 0);
      console.log(new Uint8Array(again.buffer)[5000], again.isBroken);`,
      { args: [fileWith('')] },
    );
    expect(after).toMatchObject({ code: 0, signal: null, stdout: '0 true\n' });
  });
});

/** Programs that end well when nothing is left behind, and print what there is. */
const LEAKS = {
  'unmapped at once': `
    for (let i = 0; i < 300; i++) { const m = native.mapFile(fd); m.load(); m.unmap(); }`,
  'never unmapped': `
    for (let i = 0; i < 300; i++) native.mapFile(fd).load();`,
  refused: `
    for (let i = 0; i < 300; i++) { try { native.mapFile(fd, { length: 1 << 30 }); } catch {} }
    const writeOnly = fs.openSync(path, 'a');
    for (let i = 0; i < 300; i++) { try { native.mapFile(writeOnly); } catch {} }
    fs.closeSync(writeOnly);`,
  'of nothing': `
    for (let i = 0; i < 300; i++) { native.mapFile(fd, { length: 0 }); native.mapFile(fd, { length: 0 }).unmap(); }`,
  'in workers that are torn down': `
    const { Worker } = await import('node:worker_threads');
    const { once } = await import('node:events');
    const source = 'import * as native from ' + JSON.stringify(entry) + '; import * as fs from "node:fs";' +
      'import { parentPort, workerData } from "node:worker_threads";' +
      'globalThis.kept = Array.from({ length: 20 }, (_, i) => { const m = native.mapFile(fs.openSync(workerData, "r")); if (i % 3 === 0) m.unmap(); m.residentBytes; return m; });' +
      'parentPort.postMessage("mapped"); setInterval(() => new Uint8Array(kept[1].buffer).fill(1), 1);';
    for (let i = 0; i < 10; i++) {
      const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(source)), { workerData: path });
      await once(worker, 'message');
      await worker.terminate();
    }`,
};

describe.runIf(available && onLinux).each(Object.entries(LEAKS))('mappings %s', (_name, source) => {
  it('leave no memory mapped and no file open', async () => {
    const { stdout, stderr } = await runProgram(
      `const path = process.argv[1];
      const fd = fs.openSync(path, 'r');
      native.mapFile(fd).unmap();
      const work = async () => {${source}};
      // What is loaded and opened the first time stays.
      await work(); await collect();
      const before = openFiles();
      await work(); await collect();
      console.log(JSON.stringify({ mappings: mappingsOf(path), files: openFiles() - before }));`,
      { args: [fileWith(content(PAGE * 3))] },
    );
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({ mappings: 0, files: 0 });
  });
});

describe.runIf(available && onLinux)('a program that only blocks', () => {
  it('has nothing mapped that it has unmapped: a process has a limit of mappings', () => {
    const path = fileWith(content(PAGE * 3));
    const fd = opened(path, 'r');
    const mappings = (): number => readFileSync('/proc/self/maps', 'utf8').split(path).length - 1;
    for (let count = 0; count < 20; count++) {
      const mapping = mapFile(fd);
      const view = new Uint8Array(mapping.buffer);
      expect([mappings(), view.length]).toEqual([1, 3 * PAGE]);
      mapping.unmap();
      expect([mappings(), view.length]).toEqual([0, 0]);
    }
  });
});

const MOVED = `
const path = process.argv[1];
const fd = fs.openSync(path, 'r');
const sum = (buffer) => new Uint8Array(buffer).reduce((a, b) => a + b, 0);
if (typeof ArrayBuffer.prototype.transfer !== 'function') { console.log('moved: not here'); process.exit(0); }
const expected = sum(native.mapFile(fd).buffer);
await collect();
for (const unmapFirst of [true, false]) {
  const mapping = native.mapFile(fd);
  const view = new Uint8Array(mapping.buffer);
  let moved = mapping.buffer.transfer();
  if (view.length !== 0 || mapping.buffer.byteLength !== 0) throw new Error('the old views are not empty');
  mapping.load();
  if (unmapFirst) mapping.unmap();
  await collect();
  if (sum(moved) !== expected) throw new Error('the moved buffer is another');
  if (mappingsOf(path) !== 1) throw new Error(mappingsOf(path) + ' mappings');
  moved = undefined;
  await collect();
  if (mappingsOf(path) !== 0) throw new Error('still mapped');
  if (!unmapFirst) { if (mapping.residentBytes() !== 0) throw new Error('resident'); mapping.release(); mapping.advise('willneed'); mapping.unmap(); }
}
// Moved to another thread, and read there when the thread that has mapped it is gone.
const { Worker } = await import('node:worker_threads');
const { once } = await import('node:events');
const source = 'import * as native from ' + JSON.stringify(entry) + '; import * as fs from "node:fs";' +
  'import { parentPort, workerData } from "node:worker_threads";' +
  'const { unmap, path } = workerData; globalThis.m = native.mapFile(fs.openSync(path, "r")); const b = m.buffer.transfer(); if (unmap) m.unmap(); parentPort.postMessage(b, [b]);';
for (const unmap of [true, false]) {
  const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(source)), { workerData: { path, unmap } });
  const ended = once(worker, 'exit');
  const [moved] = await once(worker, 'message');
  await ended;
  await collect();
  if (sum(moved) !== expected) throw new Error('the buffer from the other thread is another');
}
console.log('moved: readable');
`;

const TRANSFERRED = `
const path = process.argv[1];
const fd = fs.openSync(path, 'r');
const sum = (buffer) => new Uint8Array(buffer).reduce((a, b) => a + b, 0);
const { MessageChannel, receiveMessageOnPort } = await import('node:worker_threads');
const { port1, port2 } = new MessageChannel();
const WAYS = {
  clone: (buffer) => structuredClone(buffer, { transfer: [buffer] }),
  post: (buffer) => { port1.postMessage(buffer, [buffer]); return receiveMessageOnPort(port2).message; },
  view: (buffer) => structuredClone(new Uint8Array(buffer, 1, 10), { transfer: [buffer] }).buffer,
};
const expected = sum(native.mapFile(fd).buffer);
await collect();
const said = new Set();
for (const way of Object.values(WAYS)) {
  const mapping = native.mapFile(fd);
  let copy;
  try { copy = way(mapping.buffer); } catch (error) { said.add(error.name); }
  await collect();
  if (mapping.buffer.byteLength !== mapping.length || sum(mapping.buffer) !== expected) throw new Error('the mapping is another');
  if (mappingsOf(path) !== 1) throw new Error(mappingsOf(path) + ' mappings');
  mapping.unmap();
  await collect();
  if (mappingsOf(path) !== 0) throw new Error('still mapped');
  if (copy !== undefined) { said.add('copied'); if (sum(copy) !== expected) throw new Error('the copy is another'); }
}
if (typeof ArrayBuffer.prototype.transfer === 'function') {
  const mapping = native.mapFile(fd);
  const part = mapping.buffer.transfer(100);
  await collect();
  if (part.byteLength !== 100 || mapping.buffer.byteLength !== 0) throw new Error('not moved');
  sum(part);
  mapping.load();
  mapping.unmap();
  await collect();
  if (mappingsOf(path) !== 0) throw new Error('still mapped');
}
port1.close();
console.log(...said);
`;

describe.runIf(available && onLinux)('a buffer in the transfer list of a message', () => {
  it.each(nodes)('is copied or refused, and stays what it was, on %s', async (_name, node) => {
    const { stdout, stderr, code, signal } = await runProgram(TRANSFERRED, {
      args: [fileWith(content(PAGE * 3))],
      node,
    });
    expect({ stderr, code, signal }).toMatchObject({ code: 0, signal: null });
    // Node.js 20 copies memory that it cannot move; from 22 on it refuses.
    expect(['copied\n', 'DataCloneError\n']).toContain(stdout);
  });
});

describe.runIf(available && onLinux)('a buffer that was moved by transfer()', () => {
  it.each(nodes)('is readable after unmapping, on %s', async (_name, node) => {
    const { stdout, stderr, code, signal } = await runProgram(MOVED, { args: [fileWith(content(PAGE * 3))], node });
    expect({ stdout, stderr, code, signal }).toMatchObject({
      code: 0,
      signal: null,
      stdout: expect.stringMatching(/^moved/),
    });
  });
});
