import { fileLocksUnavailableReason } from '@walstack/native';
import {
  completionFailure,
  createMemoryStorageIo,
  createSyncFsStorageIo,
  createThreadPoolStorageIo,
  fromAsyncFileOps,
  fromSyncFileOps,
  type StorageIo,
  type SyncFileOps,
} from '@walstack/storage-io';
import { errnoNamed } from '@walstack/storage-io/internal';
import { describe, expect, it, vi } from 'vitest';
import { withDirect } from './direct-ops.js';
import { poll, resultOf, turn } from './polling.js';
import {
  atOnce,
  ByHand,
  coded,
  inATurn,
  type TinyFile,
  TinyFiles,
  tinyAsyncOps,
  tinySync,
  tinySyncOps,
} from './tiny-ops.js';
import { gatheringUncaught } from './uncaught.js';

const EIO = errnoNamed('EIO');
const ENOSPC = errnoNamed('ENOSPC');

/** A backend whose data operations do their work when the test says so. */
function byHand(options?: { maxPending?: number }) {
  const files = new TinyFiles();
  const hand = new ByHand();
  const io = fromAsyncFileOps(tinyAsyncOps(files, hand.schedule), options);
  return { files, hand, io, file: io.open('d/file', { create: true }) };
}

const text = (io: StorageIo, files: TinyFiles): string => {
  const entry = files.entries.get('d/file');
  return entry === undefined || entry === 'directory' ? `no file in ${io.name}` : Buffer.from(entry.bytes).toString();
};

/** Both kinds, each doing its work before `poll` is called. */
const kinds: readonly (readonly [kind: string, make: (files: TinyFiles) => StorageIo])[] = [
  ['fromSyncFileOps', (files) => tinySync(files)],
  ['fromAsyncFileOps', (files) => fromAsyncFileOps(tinyAsyncOps(files, atOnce))],
];

describe.each<[kind: string, make: (files: TinyFiles) => StorageIo]>([
  ['fromSyncFileOps', (files) => fromSyncFileOps(withDirect(tinySyncOps(files)))],
  ['fromAsyncFileOps', (files) => fromAsyncFileOps(withDirect(tinyAsyncOps(files, atOnce)))],
])('direct I/O of %s', (_kind, make) => {
  const fresh = () => {
    const files = new TinyFiles();
    const io = make(files);
    return { files, io, file: io.open('d/file', { create: true, direct: true }), memory: io.allocateBuffer(2048) };
  };

  it('writes a block that was written only in part again as a whole', () => {
    const { files, io, file, memory } = fresh();
    memory.fill(7);
    files.piece = (length) => Math.min(length, 700);
    expect(resultOf(io, io.submitWrite(file, memory, 0))).toBe(2048);
    expect(text(io, files)).toBe('\x07'.repeat(2048));
    expect(files.calls.filter((call) => call === 'write')).toHaveLength(4);
  });

  it('fills a file with zeros by whole blocks, too', () => {
    const { files, io, file } = fresh();
    files.piece = (length) => Math.min(length, 700);
    expect(resultOf(io, io.submitAllocate(file, 0, 2048))).toBe(0);
    expect(text(io, files)).toBe('\0'.repeat(2048));
  });

  it('fails with EIO where never a whole block is written', () => {
    const { files, io, file, memory } = fresh();
    files.piece = () => 511;
    expect(resultOf(io, io.submitWrite(file, memory, 0))).toBe(EIO);
    expect(files.calls.filter((call) => call === 'write')).toHaveLength(101);
  });

  it('ends a read inside a block, which is the end of the file', () => {
    const { files, io, file, memory } = fresh();
    resultOf(io, io.submitWrite(file, memory, 0));
    files.piece = (length) => Math.min(length, 612);
    expect(resultOf(io, io.submitRead(file, memory, 0))).toBe(612);
  });
});

describe('functions that are async where they have to be done when they return', () => {
  const fails = expect.objectContaining({ code: 'WAL_IO_FAILED', cause: expect.any(TypeError) });
  /** Operations one of which ends some time after it has returned. */
  const withAsync = (name: keyof SyncFileOps<TinyFile>): { io: StorageIo; files: TinyFiles } => {
    const files = new TinyFiles();
    const ops = tinySyncOps(files);
    const call = ops[name] as unknown as (...given: unknown[]) => unknown;
    const later = async (...given: unknown[]): Promise<unknown> => {
      await turn();
      return call(...given);
    };
    return { files, io: fromSyncFileOps({ allocate: () => {}, ...ops, [name]: later }) };
  };

  it.each([
    ['datasync', (io: StorageIo) => io.submitDatasync(io.open('d/file', { create: true }))],
    ['truncate', (io: StorageIo) => io.submitTruncate(io.open('d/file', { create: true }), 0)],
    ['allocate', (io: StorageIo) => io.submitAllocate(io.open('d/file', { create: true }), 0, 10)],
    ['write', (io: StorageIo) => io.submitWrite(io.open('d/file', { create: true }), Buffer.alloc(1), 0)],
    ['read', (io: StorageIo) => io.submitRead(io.open('d/file', { create: true }), Buffer.alloc(1), 0)],
    ['remove', (io: StorageIo) => io.submitRemove('d/file')],
    ['syncDirectory', (io: StorageIo) => io.submitSyncDirectory('d')],
  ] as const)('%s has failed, and is not taken for done', (name, submit) => {
    const { io, files } = withAsync(name);
    files.entries.set('d/file', { bytes: new Uint8Array(1), open: 0 });
    expect(resultOf(io, submit(io))).toBe(EIO);
    expect(files.calls).not.toContain(name);
  });

  it.each([
    ['open', (io: StorageIo) => io.open('d/file', { create: true })],
    ['close', (io: StorageIo) => io.close(io.open('d/file', { create: true }))],
    ['rename', (io: StorageIo) => io.rename('d/file', 'd/other')],
    ['makeDirectory', (io: StorageIo) => io.makeDirectory('d/below')],
    ['list', (io: StorageIo) => io.list('d')],
    ['stat', (io: StorageIo) => io.stat('d/file')],
    ['lock', (io: StorageIo) => io.lock('d/LOCK')],
  ] as const)('%s throws', (name, call) => {
    const { io, files } = withAsync(name);
    files.entries.set('d/file', { bytes: new Uint8Array(1), open: 0 });
    expect(() => call(io)).toThrow(fails);
  });
});

describe.each(kinds)('%s', (_kind, make) => {
  function fresh() {
    const files = new TinyFiles();
    const io = make(files);
    return { files, io, file: io.open('d/file', { create: true }) };
  }

  it('finishes short writes and reads', () => {
    const { files, io, file } = fresh();
    files.piece = () => 1;
    const write = io.submitWrite(file, Buffer.from('all of it'), 0);
    expect(resultOf(io, write)).toBe(9);
    const into = Buffer.alloc(20);
    expect(resultOf(io, io.submitRead(file, into, 4))).toBe(5);
    expect(into.toString('utf8', 0, 5)).toBe('of it');
    expect(files.calls.filter((call) => call === 'write')).toHaveLength(9);
  });

  it('finishes ten thousand pieces without running out of stack', () => {
    const { files, io, file } = fresh();
    const data = new Uint8Array(10_000).fill(7);
    files.piece = () => 1;
    expect(resultOf(io, io.submitWrite(file, data, 0))).toBe(10_000);
    expect(text(io, files)).toBe('\x07'.repeat(10_000));
  });

  it('finishes short writes of zeros after the end', () => {
    const { files, io, file } = fresh();
    resultOf(io, io.submitWrite(file, Buffer.from('abc'), 0));
    files.piece = (length) => Math.min(length, 100);
    expect(resultOf(io, io.submitAllocate(file, 1, 999))).toBe(0);
    expect(text(io, files)).toBe(`abc${'\0'.repeat(997)}`);
  });

  it.each(['ENOSPC', 'EIO', 'EDQUOT', 'EROFS'])('gives the number of %s', (code) => {
    const { files, io, file } = fresh();
    files.fault = (operation) => (operation === 'open' || operation === 'size' ? undefined : code);
    const expected = errnoNamed(code);
    const tokens = [
      io.submitWrite(file, Buffer.from('a'), 0),
      io.submitAppend(file, Buffer.from('a')),
      io.submitRead(file, Buffer.alloc(1), 0),
      io.submitDatasync(file),
      io.submitTruncate(file, 0),
      io.submitAllocate(file, 0, 10),
      io.submitRemove('d/file'),
      io.submitSyncDirectory('d'),
    ];
    expect(poll(io)).toEqual(tokens.map((token) => [token, expected]));
    const walCode = code === 'ENOSPC' || code === 'EDQUOT' ? 'WAL_NO_SPACE' : 'WAL_IO_FAILED';
    expect(completionFailure('write', 'd/file', expected)).toMatchObject({ code: walCode, systemCode: code });
    expect(io.stats()).toMatchObject({ submitted: 8, completed: 8, bytesWritten: 0, bytesRead: 0, syncs: 0 });
  });

  it('counts the bytes that it has read and written, and the syncs', () => {
    const { io, file } = fresh();
    const tokens = [
      io.submitWrite(file, Buffer.from('abcdef'), 0),
      io.submitAppend(file, Buffer.from('gh')),
      io.submitDatasync(file),
      io.submitRead(file, Buffer.alloc(3), 1),
    ];
    expect(poll(io).map(([token]) => token)).toEqual(tokens);
    expect(io.stats()).toMatchObject({ bytesWritten: 8, bytesRead: 3, syncs: 1 });
  });

  it('reports the failure of a later piece, not the bytes before it', () => {
    const { files, io, file } = fresh();
    files.piece = (length) => Math.ceil(length / 2);
    let writes = 0;
    files.fault = (operation) => {
      if (operation === 'write') writes += 1;
      return writes === 3 ? 'ENOSPC' : undefined;
    };
    expect(resultOf(io, io.submitWrite(file, Buffer.alloc(100), 0))).toBe(ENOSPC);
    expect(io.stats().bytesWritten).toBe(0);
  });

  it.each([0, -1, 1.5, Number.NaN, 11, undefined])('takes a count of %s for 10 bytes as EIO', (count) => {
    const { io, file, files } = fresh();
    files.write = () => count as number;
    expect(resultOf(io, io.submitWrite(file, Buffer.alloc(10), 0))).toBe(EIO);
    files.read = () => count as number;
    expect(resultOf(io, io.submitRead(file, Buffer.alloc(10), 0))).toBe(count === 0 ? 0 : EIO);
  });

  it('repeats what was interrupted, but not forever', () => {
    const { files, io, file } = fresh();
    let interruptions = 0;
    files.fault = (operation) => {
      if (operation !== 'write') return undefined;
      interruptions += 1;
      return interruptions % 2 === 1 ? 'EINTR' : undefined;
    };
    files.piece = () => 1;
    expect(resultOf(io, io.submitWrite(file, Buffer.alloc(300), 0))).toBe(300);
    files.fault = () => 'EAGAIN';
    expect(resultOf(io, io.submitWrite(file, Buffer.alloc(300), 0))).toBe(errnoNamed('EAGAIN'));
  });

  it('never repeats a sync', () => {
    const { files, io, file } = fresh();
    files.fault = (operation) => (operation === 'datasync' ? 'EINTR' : undefined);
    expect(resultOf(io, io.submitDatasync(file))).toBe(errnoNamed('EINTR'));
    expect(files.calls.filter((call) => call === 'datasync')).toHaveLength(1);
  });

  it('counts an error without a code as EIO', () => {
    const { files, io, file } = fresh();
    files.datasync = () => {
      throw new Error('something else');
    };
    expect(resultOf(io, io.submitDatasync(file))).toBe(EIO);
    files.write = () => {
      throw new TypeError('a defect');
    };
    expect(resultOf(io, io.submitWrite(file, Buffer.alloc(1), 0))).toBe(EIO);
  });

  it('no longer knows a file that failed to close', () => {
    const { files, io, file } = fresh();
    files.fault = (operation) => (operation === 'close' ? 'EIO' : undefined);
    expect(() => io.close(file)).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED', systemCode: 'EIO' }));
    files.fault = () => undefined;
    expect(() => io.close(file)).toThrow(expect.objectContaining({ code: 'WAL_BAD_FD' }));
  });

  it('closes every file at dispose although one fails, and reports the failure', async () => {
    const { files, io } = fresh();
    io.open('d/second', { create: true });
    io.open('d/third', { create: true });
    io.lock('d/LOCK');
    let closes = 0;
    files.fault = (operation) => {
      if (operation !== 'close') return undefined;
      closes += 1;
      return closes === 1 ? 'EIO' : undefined;
    };
    await expect(io.dispose()).rejects.toMatchObject({ code: 'WAL_IO_FAILED', systemCode: 'EIO' });
    expect(closes).toBe(3);
    expect(files.locks.size).toBe(0);
    await expect(io.dispose()).rejects.toMatchObject({ systemCode: 'EIO' });
  });

  it('passes on the cause of what a plain call throws', () => {
    const files = new TinyFiles();
    const cause = coded('EACCES');
    files.namespace.stat = () => {
      throw cause;
    };
    expect(() => make(files).stat('d')).toThrow(
      expect.objectContaining({ code: 'WAL_IO_FAILED', path: 'd', operation: 'stat', systemCode: 'EACCES', cause }),
    );
  });

  it('loses nothing when the listener throws', async () => {
    const { io, file } = fresh();
    await gatheringUncaught(async (uncaught) => {
      io.onReady(() => {
        throw new Error('from the listener');
      });
      io.submitDatasync(file);
      while (uncaught.length < 2) await turn();
      io.onReady(undefined);
    });
    expect(poll(io)).toEqual([[1, 0]]);
  });

  it('is disposed of when the listener throws, which is an uncaught exception then as well', async () => {
    const { files, io, file } = fresh();
    io.lock('d/LOCK');
    const uncaught = await gatheringUncaught(async () => {
      io.onReady(() => {
        poll(io, 1);
        throw new Error('from the listener');
      });
      for (let count = 0; count < 3; count++) io.submitDatasync(file);
      await io.dispose();
      await turn();
    });
    expect(uncaught).toHaveLength(3);
    expect(io.pending).toBe(0);
    expect(files.locks.size).toBe(0);
  });
});

describe('operations that call back', () => {
  it('end once, however often they call back', () => {
    const files = new TinyFiles();
    const ops = tinyAsyncOps(files, atOnce);
    const io = fromAsyncFileOps({
      ...ops,
      write: (file, data, offset, done) => {
        done(null, files.write(file, data, offset));
        done(null, data.length);
        throw new Error('and thrown as well');
      },
      datasync: (_file, done) => {
        done(coded('EIO'));
        done();
        throw new Error('and thrown as well');
      },
    });
    const file = io.open('d/file', { create: true });
    const write = io.submitWrite(file, Buffer.from('abc'), 0);
    const sync = io.submitDatasync(file);
    expect(poll(io)).toEqual([
      [write, 3],
      [sync, EIO],
    ]);
    expect(io.stats()).toMatchObject({ submitted: 2, completed: 2, inFlight: 0 });
    io.close(file);
  });

  it('may throw in place of calling back', () => {
    const files = new TinyFiles();
    const io = fromAsyncFileOps({
      ...tinyAsyncOps(files, atOnce),
      write: () => {
        throw coded('ENOSPC');
      },
      remove: () => {
        throw coded('EPERM');
      },
    });
    const file = io.open('d/file', { create: true });
    expect(resultOf(io, io.submitWrite(file, Buffer.from('abc'), 0))).toBe(ENOSPC);
    expect(resultOf(io, io.submitAppend(file, Buffer.from('abc')))).toBe(ENOSPC);
    expect(resultOf(io, io.submitRemove('d/file'))).toBe(errnoNamed('EPERM'));
  });

  it('leave the file open until they are done, with pieces to come', () => {
    const { files, hand, io, file } = byHand();
    files.piece = () => 1;
    const token = io.submitWrite(file, Buffer.from('abc'), 0);
    for (let piece = 0; piece < 2; piece++) {
      hand.step();
      expect(() => io.close(file)).toThrow(expect.objectContaining({ code: 'WAL_BUSY', actual: 1 }));
      expect(() => io.submitTruncate(file, 0)).toThrow(expect.objectContaining({ code: 'WAL_BUSY' }));
      expect(poll(io)).toEqual([]);
    }
    hand.step();
    expect(poll(io)).toEqual([[token, 3]]);
    io.close(file);
  });

  it('complete in the order in which they end', () => {
    const { hand, io, file } = byHand();
    const tokens = ['a', 'b', 'c'].map((data, at) => io.submitWrite(file, Buffer.from(data), at));
    hand.step(2);
    hand.step(0);
    hand.step(0);
    expect(poll(io).map(([token]) => token)).toEqual([tokens[2], tokens[0], tokens[1]]);
  });

  it('append one after another', () => {
    const { files, hand, io, file } = byHand();
    for (const data of ['one ', 'two ', 'three']) io.submitAppend(file, Buffer.from(data));
    expect(hand.waiting).toHaveLength(1);
    hand.all();
    expect(text(io, files)).toBe('one two three');
    expect(poll(io).map(([, result]) => result)).toEqual([4, 4, 5]);
  });

  it('append after writes that are in flight', () => {
    const { files, hand, io, file } = byHand();
    io.submitWrite(file, Buffer.from('0123456789'), 0);
    io.submitAppend(file, Buffer.from('end'));
    hand.step(1);
    hand.all();
    expect(text(io, files)).toBe('0123456789end');
  });

  it('append after the actual end of writes, when these have ended', () => {
    const { files, hand, io, file } = byHand();
    files.fault = (operation) => (operation === 'write' ? 'EIO' : undefined);
    io.submitWrite(file, Buffer.from('0123456789'), 0);
    hand.all();
    files.fault = () => undefined;
    io.submitAppend(file, Buffer.from('end'));
    hand.all();
    expect(text(io, files)).toBe('end');
  });

  it('that are queued after a failed append fail with its result, unwritten', () => {
    const { files, hand, io, file } = byHand();
    let writes = 0;
    files.piece = (length) => Math.min(length, 2);
    files.fault = (operation) => {
      if (operation !== 'write') return undefined;
      writes += 1;
      return writes === 2 ? 'ENOSPC' : undefined;
    };
    const tokens = ['torn', 'next', 'last'].map((data) => io.submitAppend(file, Buffer.from(data)));
    const beside = io.submitWrite(file, Buffer.from('x'), 100);
    hand.all();
    expect(new Map(poll(io))).toEqual(
      new Map([...tokens.map((token): [number, number] => [token, ENOSPC]), [beside, 1]]),
    );
    expect(text(io, files).startsWith('to\0')).toBe(true);
    // The failure is known by now: what is appended after it is the caller's decision.
    const after = io.submitAppend(file, Buffer.from('after'));
    hand.all();
    expect(poll(io)).toEqual([[after, 5]]);
    expect(io.stats()).toMatchObject({ submitted: 5, completed: 5, inFlight: 0, bytesWritten: 6 });
    io.close(file);
  });

  it('sync a file one after another, and those that wait fail with the one under way', () => {
    const { files, hand, io, file } = byHand();
    const results = (): number[] => poll(io).map(([, result]) => result);
    const syncs = (): number => files.calls.filter((call) => call.startsWith('datasync')).length;
    for (let count = 0; count < 3; count++) io.submitDatasync(file);
    expect(hand.waiting).toHaveLength(1);
    // Of two at a time the system would tell only one what it could not write.
    files.fault = (operation) => (operation === 'datasync' ? 'EIO' : undefined);
    hand.all();
    expect(results()).toEqual([EIO, EIO, EIO]);
    expect(syncs()).toBe(1);
    files.fault = () => undefined;
    for (let count = 0; count < 3; count++) io.submitDatasync(file);
    hand.all();
    expect(results()).toEqual([0, 0, 0]);
    expect(syncs()).toBe(3);
  });

  it('fail when the end of the file cannot be found', () => {
    const { files, hand, io, file } = byHand();
    files.fault = (operation) => (operation === 'size' ? 'EIO' : undefined);
    const append = io.submitAppend(file, Buffer.from('a'));
    const allocate = io.submitAllocate(file, 0, 10);
    hand.all();
    expect(poll(io)).toEqual([
      [append, EIO],
      [allocate, EIO],
    ]);
    io.close(file);
  });

  it('fill with zeros only where no write is under way, or comes to be', () => {
    const { files, hand, io, file } = byHand();
    files.piece = (length) => Math.min(length, 4);
    io.submitWrite(file, Buffer.from('before'), 2);
    io.submitAllocate(file, 0, 20);
    io.submitWrite(file, Buffer.from('after'), 10);
    io.submitWrite(file, Buffer.from('!'), 0);
    // The newest first, as unkind as can be.
    while (hand.waiting.length > 0) hand.step(hand.waiting.length - 1);
    expect(text(io, files)).toBe(`!\0before\0\0after${'\0'.repeat(5)}`);
    expect(poll(io).every(([, result]) => result >= 0)).toBe(true);
  });

  it('hold thousands of appends without running out of stack', () => {
    const { files, hand, io, file } = byHand({ maxPending: 20_000 });
    for (let index = 0; index < 10_000; index++) io.submitAppend(file, new Uint8Array(0));
    io.submitAppend(file, Buffer.from('end'));
    for (let index = 0; index < 9_999; index++) io.submitAppend(file, new Uint8Array(0));
    hand.all();
    expect(io.stats()).toMatchObject({ completed: 20_000, inFlight: 0 });
    expect(text(io, files)).toBe('end');
  });

  it('are waited for by dispose, which then closes the file', async () => {
    const { files, hand, io, file } = byHand();
    const release = vi.fn();
    files.namespace.lock = () => release;
    io.submitWrite(file, Buffer.from('abc'), 0);
    io.submitAppend(file, Buffer.from('def'));
    io.submitAppend(file, Buffer.from('ghi'));
    let disposed = false;
    const disposal = io.dispose().then(() => {
      disposed = true;
    });
    for (let step = 0; step < 3; step++) {
      await turn();
      expect(disposed).toBe(false);
      expect(files.calls).not.toContain('close');
      hand.step();
    }
    await disposal;
    expect(text(io, files)).toBe('abcdefghi');
    expect(files.calls.at(-1)).toBe('close');
    expect(io.pending).toBe(0);
  });

  it('call the listener from the callback, and never inside a call', () => {
    const { hand, io, file } = byHand();
    const seen: number[] = [];
    io.onReady(() => {
      for (const [, result] of poll(io)) seen.push(result);
    });
    io.submitWrite(file, Buffer.from('abc'), 0);
    io.submitDatasync(file);
    hand.step();
    expect(seen).toEqual([3]);
    hand.step();
    expect(seen).toEqual([3, 0]);
  });

  it('that call back while the listener runs do not call it again at once', async () => {
    const { hand, io, file } = byHand();
    let inside = false;
    let seen = 0;
    io.onReady(() => {
      expect(inside).toBe(false);
      inside = true;
      if (hand.waiting.length > 0) hand.step();
      seen += poll(io, 1).length;
      inside = false;
    });
    for (let count = 0; count < 3; count++) io.submitDatasync(file);
    hand.step();
    while (seen < 3) await turn();
  });

  it('that call back inside another call schedule the listener for later', async () => {
    const files = new TinyFiles();
    let held: (() => void) | undefined;
    const io = fromAsyncFileOps({
      ...tinyAsyncOps(files, (work) => {
        held?.();
        held = work;
      }),
      size: (file) => {
        held?.();
        held = undefined;
        return file.bytes.length;
      },
    });
    const file = io.open('d/file', { create: true });
    let inCall = false;
    let called = 0;
    io.onReady(() => {
      expect(inCall).toBe(false);
      called += poll(io).length;
    });
    inCall = true;
    io.submitWrite(file, Buffer.from('abc'), 0);
    io.submitWrite(file, Buffer.from('abc'), 3);
    io.size(file);
    inCall = false;
    expect(called).toBe(0);
    while (called < 2) await turn();
  });
});

describe('waiting', () => {
  it('has everything done already where operations are synchronous', () => {
    const io = createMemoryStorageIo();
    expect(io.capabilities).toMatchObject({ canWait: true, completesInline: true });
  });

  it('keeps no process alive: an idle backend with a listener has nothing scheduled', async () => {
    const immediate = vi.spyOn(globalThis, 'setImmediate');
    try {
      const io = createMemoryStorageIo();
      io.onReady(() => {});
      const file = io.open('file', { create: true });
      expect(immediate).not.toHaveBeenCalled();
      io.submitDatasync(file);
      expect(immediate).toHaveBeenCalledTimes(1);
    } finally {
      immediate.mockRestore();
    }
  });
});

describe('what a backend claims', () => {
  it('is what is true of each', () => {
    const fileLocks = fileLocksUnavailableReason === undefined;
    const sync = { overlappedWrites: false, durableWrites: false, realFiles: true, fileLocks };
    expect(createSyncFsStorageIo().capabilities).toEqual({ ...sync, completesInline: true, canWait: true });
    expect(createThreadPoolStorageIo().capabilities).toEqual({ ...sync, completesInline: false, canWait: false });
    expect(createMemoryStorageIo().capabilities).toEqual({
      overlappedWrites: true,
      durableWrites: true,
      completesInline: true,
      canWait: true,
      realFiles: false,
      fileLocks: true,
    });
    expect(Object.isFrozen(createMemoryStorageIo().capabilities)).toBe(true);
  });
});

describe('arguments of the factories', () => {
  const typeError = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  const rangeError = expect.objectContaining({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });

  it.each(['open', 'close', 'size', 'list', 'rename', 'makeDirectory', 'stat', 'lock', 'read', 'write', 'datasync'])(
    'names %s when it is missing',
    (name) => {
      const ops = { ...tinySyncOps(new TinyFiles()), [name]: undefined };
      expect(() => fromSyncFileOps(ops)).toThrow(typeError);
      expect(() => fromSyncFileOps(ops)).toThrow(`ops.${name}`);
      expect(() => fromAsyncFileOps({ ...tinyAsyncOps(new TinyFiles(), inATurn), [name]: 5 })).toThrow(typeError);
    },
  );

  it('refuses operations that are none, and direct I/O without memory for it', () => {
    const ops = tinySyncOps(new TinyFiles());
    expect(() => fromSyncFileOps(undefined as never)).toThrow(typeError);
    expect(() => fromSyncFileOps({ ...ops, name: 5 as never })).toThrow(typeError);
    expect(() => fromSyncFileOps({ ...ops, realFiles: 'yes' as never })).toThrow(typeError);
    expect(() => fromSyncFileOps({ ...ops, allocate: 'yes' as never })).toThrow(typeError);
    expect(() => fromSyncFileOps({ ...ops, directAlignment: () => 512 })).toThrow(typeError);
  });

  it.each([
    ['sync-fs', createSyncFsStorageIo],
    ['thread-pool', createThreadPoolStorageIo],
    ['memory', createMemoryStorageIo],
  ])('checks the options of %s', (_name, create) => {
    for (const maxPending of [0, -1, 1.5, Number.NaN, 2_000_000]) {
      expect(() => create({ maxPending })).toThrow(rangeError);
    }
    expect(() => create({ maxPending: '5' as never })).toThrow(typeError);
    expect(() => create({ maxpending: 5 } as never)).toThrow(typeError);
  });

  it('closes a file again whose alignment cannot be determined', () => {
    const files = new TinyFiles();
    const io = fromSyncFileOps({
      ...tinySyncOps(files),
      allocateBuffer: (bytes) => new Uint8Array(bytes),
      directAlignment: () => {
        throw coded('EIO');
      },
    });
    expect(() => io.open('d/file', { create: true, direct: true })).toThrow(
      expect.objectContaining({ code: 'WAL_IO_FAILED' }),
    );
    expect(files.calls).toEqual(['open', 'close']);
    io.open('d/file', { create: true });
  });

  it('counts the files that were refused direct I/O', () => {
    const io = createMemoryStorageIo();
    io.open('a', { create: true, direct: true });
    io.open('b', { create: true, direct: true });
    io.open('c', { create: true });
    expect(io.stats().directRefused).toBe(2);
  });
});

it('a file of another backend is told by its path, and what is no file without one', () => {
  const io = createMemoryStorageIo();
  const other = createMemoryStorageIo();
  const file = other.open('/of-another', { create: true });
  expect(() => io.size(file)).toThrow('this file (/of-another) is not open in this backend');
  expect(() => io.size({} as never)).toThrow('this file is not open in this backend');
  other.close(file);
});
