import { CompletionBuffer, type StorageIo } from '@walstack/storage-io';
import { errnoNamed } from '@walstack/storage-io/internal';
import { type FaultKind, type OperationKind, SimulatedDisk, type Survivors } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { resultOf, turn } from '../polling.js';
import {
  letters,
  read,
  remove,
  SECTOR,
  sectors,
  sync,
  syncDirectory,
  truncate,
  write,
  writeDurably,
} from './on-disk.js';

/** A disk with a file whose name is durable and whose content is not. */
function diskWithFile(content: Uint8Array = new Uint8Array(0)): { disk: SimulatedDisk; io: StorageIo } {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo({ durableWrites: true });
  write(io, 'f', content);
  syncDirectory(io);
  return { disk, io };
}

/** What the sets of survivors leave of the file. */
const left = (disk: SimulatedDisk, ...sets: Survivors[]): string[] =>
  sets.map((survivors) => letters(disk.crash(survivors).createStorageIo(), 'f'));

/** Everything that can be left of the file: each set of survivors is tried, until random ones show nothing new. */
function everythingLeft(disk: SimulatedDisk): string[] {
  const found = new Set<string>();
  for (let seed = 0; seed < 400; seed++) found.add(letters(disk.crash(`random:${seed}`).createStorageIo(), 'f'));
  return [...found].sort();
}

/** Has the next operation of a kind fail, and the call with it. */
function failOnce(disk: SimulatedDisk, kind: OperationKind, fault: FaultKind, call: () => unknown): void {
  let failed = 0;
  disk.failWhen((operation) => (operation.kind === kind && failed++ === 0 ? fault : undefined));
  expect(call).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED' }));
  disk.failWhen(undefined);
}

describe('what was written', () => {
  test('is read at once, and gone after a crash unless it survives', () => {
    const { disk, io } = diskWithFile(sectors('a', 2));
    expect(letters(io, 'f')).toBe('aa');
    expect(left(disk, 'none', 'all')).toEqual(['', 'aa']);
  });

  test('stays when it was synced, whatever else is lost', () => {
    const { disk, io } = diskWithFile(sectors('a', 2));
    sync(io, 'f');
    write(io, 'f', sectors('b', 2), SECTOR);
    expect(left(disk, 'none', 'all')).toEqual(['aa', 'abb']);
  });

  test('survives sector by sector, with or without the size', () => {
    const { disk, io } = diskWithFile(sectors('a', 2));
    sync(io, 'f');
    write(io, 'f', sectors('b', 2), SECTOR);
    expect(everythingLeft(disk)).toEqual(['aa', 'aa-', 'aab', 'ab', 'ab-', 'abb']);
    expect(disk.unsynced()).toEqual({ metadata: 1, sectors: 2 });
    expect(left(disk, 'only-metadata:0', 'only-sector:0', 'only-sector:1')).toEqual(['aa-', 'ab-', 'aab']);
    expect(left(disk, 'all-but-metadata:0', 'all-but-sector:0', 'all-but-sector:1')).toEqual(['ab', 'aab', 'ab-']);
  });

  test('can be any of the versions that a sector had since the last sync', () => {
    const { disk, io } = diskWithFile(sectors('a'));
    sync(io, 'f');
    write(io, 'f', sectors('b'));
    write(io, 'f', sectors('c'));
    expect(everythingLeft(disk)).toEqual(['a', 'b', 'c']);
  });

  test('is written together with the rest of its sector', () => {
    const { disk, io } = diskWithFile(sectors('a'));
    sync(io, 'f');
    write(io, 'f', 'bb', 0);
    write(io, 'f', 'cc', 4);
    const found = new Set<string>();
    for (let seed = 0; seed < 50; seed++) {
      found.add(read(disk.crash(`random:${seed}`).createStorageIo(), 'f').toString('latin1', 0, 6));
    }
    expect([...found].sort()).toEqual(['aaaaaa', 'bbaaaa', 'bbaacc']);
  });

  test('ends within a sector', () => {
    const { disk, io } = diskWithFile(Buffer.from('short'));
    sync(io, 'f');
    write(io, 'f', 'er', 5);
    expect(read(disk.crash('all').createStorageIo(), 'f').toString()).toBe('shorter');
    expect(read(disk.crash('none').createStorageIo(), 'f').toString()).toBe('short');
    expect(read(disk.crash('only-metadata:0').createStorageIo(), 'f').toString()).toBe('short\0\0');
    const afterwards = disk.crash('all-but-metadata:0').createStorageIo();
    truncate(afterwards, 'f', 7);
    expect(read(afterwards, 'f').toString(), 'nothing hides behind the end').toBe('short\0\0');
  });

  test('leaves zeros where it has not reached a file that has grown, or what other files have left there', () => {
    const { disk, io } = diskWithFile(sectors('a'));
    sync(io, 'f');
    write(io, 'gone', sectors('g', 3));
    sync(io, 'gone');
    remove(io, 'gone');
    write(io, 'f', sectors('b', 2), SECTOR);
    const found = new Set<string>();
    for (let seed = 0; seed < 400; seed++) {
      const bytes = read(disk.crash(`stale:${seed}`).createStorageIo(), 'f');
      expect(bytes[0]).toBe(97);
      for (let at = SECTOR; at < bytes.length; at += SECTOR) {
        const letter = String.fromCharCode(bytes[at] as number);
        found.add('bg'.includes(letter) ? letter : 'other');
        expect(bytes[at], 'no zeros').not.toBe(0);
      }
    }
    expect([...found].sort()).toEqual(['b', 'g', 'other']);
  });

  test('durably stays, and nothing that was written before it comes along', () => {
    const { disk, io } = diskWithFile();
    write(io, 'f', sectors('a', 2));
    writeDurably(io, 'f', sectors('b'), 2 * SECTOR);
    expect(left(disk, 'none')).toEqual(['--b']);
    expect(everythingLeft(disk)).toEqual(['--b', '-ab', 'a-b', 'aab']);
  });

  test('is covered by a sync only when it had completed before', async () => {
    const { disk } = diskWithFile();
    const io = disk.createStorageIo({ completesInline: false });
    const file = io.open('f');
    io.submitWrite(file, sectors('a'), 0);
    while (io.stats().completed < 1) await turn();
    const late = io.submitWrite(file, sectors('b'), SECTOR);
    const synced = io.submitDatasync(file);
    while (io.stats().completed < 3) await turn();
    expect(io.pending).toBe(3);
    expect([late, synced]).toHaveLength(2);
    expect(left(disk, 'none', 'all')).toEqual(['a', 'ab']);
  });
});

describe('a cut', () => {
  test('may be lost, and then what was written behind it is lost as well', () => {
    const { disk, io } = diskWithFile(sectors('a', 4));
    sync(io, 'f');
    truncate(io, 'f', SECTOR);
    write(io, 'f', sectors('b', 2), SECTOR);
    expect(left(disk, 'none', 'all')).toEqual(['aaaa', 'abb']);
    expect(everythingLeft(disk)).toEqual(['a', 'a--', 'a-b', 'aaaa', 'ab-', 'abb']);
  });

  test('is durable after a sync', () => {
    const { disk, io } = diskWithFile(sectors('a', 4));
    sync(io, 'f');
    truncate(io, 'f', SECTOR + 1);
    sync(io, 'f');
    expect(left(disk, 'none')).toEqual(['aa1']);
  });

  test('leaves zeros where the file grows again', () => {
    const { disk, io } = diskWithFile(sectors('a', 2));
    sync(io, 'f');
    truncate(io, 'f', 10);
    truncate(io, 'f', 2 * SECTOR);
    sync(io, 'f');
    const bytes = read(disk.crash().createStorageIo(), 'f');
    expect(bytes.subarray(0, 11).toString()).toBe('aaaaaaaaaa\0');
    expect(bytes.subarray(10).every((byte) => byte === 0)).toBe(true);
  });

  test('is durable with a durable write behind it, and so is how long that makes the file', () => {
    const { disk, io } = diskWithFile(sectors('a', 4));
    sync(io, 'f');
    truncate(io, 'f', 0);
    writeDurably(io, 'f', sectors('b'), 2 * SECTOR);
    expect(everythingLeft(disk)).toEqual(['--b']);
    expect(left(disk, 'none', 'all')).toEqual(['--b', '--b']);
  });

  test('that is made durable by a durable write leaves what was written behind it as it was', () => {
    const { disk, io } = diskWithFile(sectors('a', 3));
    sync(io, 'f');
    truncate(io, 'f', SECTOR);
    write(io, 'f', sectors('b'), SECTOR);
    writeDurably(io, 'f', sectors('c'), 2 * SECTOR);
    expect(everythingLeft(disk)).toEqual(['a-c', 'abc']);
  });

  test('stays undone by a durable write in front of it', () => {
    const { disk, io } = diskWithFile(sectors('a', 3));
    sync(io, 'f');
    truncate(io, 'f', 2 * SECTOR);
    writeDurably(io, 'f', sectors('c'), 0);
    expect(everythingLeft(disk)).toEqual(['ca', 'caa']);
  });
});

describe('names', () => {
  const names = (disk: SimulatedDisk, survivors: Survivors): string[] =>
    disk.crash(survivors).createStorageIo().list('/');

  test('are durable when their directory was synced', () => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo();
    write(io, 'a', 'A');
    sync(io, 'a');
    expect(names(disk, 'none')).toEqual([]);
    const again = new SimulatedDisk();
    const other = again.createStorageIo();
    write(other, 'a', 'A');
    sync(other, 'a');
    syncDirectory(other);
    write(other, 'b', 'B');
    expect(names(again, 'none')).toEqual(['a']);
    expect(names(again, 'all')).toEqual(['a', 'b']);
  });

  test('survive in any subset, a rename whole or not at all', () => {
    const { disk, io } = diskWithFile(sectors('f'));
    write(io, 'g', 'g');
    syncDirectory(io);
    io.rename('f', 'h');
    remove(io, 'g');
    write(io, 'i', 'i');
    const found = new Set<string>();
    for (let seed = 0; seed < 100; seed++) found.add(names(disk, `random:${seed}`).join(''));
    expect([...found].sort()).toEqual(['fg', 'fgi', 'fi', 'f', 'gh', 'ghi', 'h', 'hi'].sort());
  });

  test('a file that was renamed twice has two names when only the second rename survives', () => {
    const { disk, io } = diskWithFile();
    io.rename('f', 'g');
    io.rename('g', 'h');
    expect(names(disk, 'only-metadata:0')).toEqual(['g']);
    expect(names(disk, 'only-metadata:1')).toEqual(['f', 'h']);
    expect(names(disk, 'all')).toEqual(['h']);
    expect(names(disk, 'none')).toEqual(['f']);
  });

  test('the link count of a file is as of the operations that survive, also where it has more names then', () => {
    const linksIn = (survivors: Survivors, disk: SimulatedDisk, path: string): number | undefined => {
      const io = disk.crash(survivors).createStorageIo();
      return io.links?.(io.open(path, {}));
    };
    const renamed = diskWithFile();
    renamed.io.rename('f', 'g');
    renamed.io.rename('g', 'h');
    expect(names(renamed.disk, 'only-metadata:1')).toEqual(['f', 'h']);
    expect(linksIn('only-metadata:1', renamed.disk, 'h')).toBe(1);
    const linked = diskWithFile();
    linked.io.link?.('f', 'g');
    expect(linked.io.links?.(linked.io.open('f', {}))).toBe(2);
    expect([linksIn('none', linked.disk, 'f'), linksIn('all', linked.disk, 'f')]).toEqual([1, 2]);
    const replaced = diskWithFile();
    replaced.io.link?.('f', 'g');
    syncDirectory(replaced.io);
    write(replaced.io, 'other', 'o');
    replaced.io.rename('other', 'g');
    expect([linksIn('none', replaced.disk, 'f'), linksIn('all', replaced.disk, 'f')]).toEqual([2, 1]);
  });

  test('a rename that replaces a file leaves the old one or the new one', () => {
    const { disk, io } = diskWithFile(Buffer.from('old'));
    sync(io, 'f');
    write(io, 'draft', 'new');
    sync(io, 'draft');
    syncDirectory(io);
    io.rename('draft', 'f');
    expect(names(disk, 'none')).toEqual(['draft', 'f']);
    expect(read(disk.crash('none').createStorageIo(), 'f').toString()).toBe('old');
    expect(names(disk, 'all')).toEqual(['f']);
    expect(read(disk.crash('all').createStorageIo(), 'f').toString()).toBe('new');
  });

  test('a rename between directories is durable with the sync of either', () => {
    for (const synced of ['a', 'b']) {
      const disk = new SimulatedDisk();
      const io = disk.createStorageIo();
      io.makeDirectory('a');
      io.makeDirectory('b');
      write(io, 'a/f', 'f');
      syncDirectory(io, '/');
      syncDirectory(io, 'a');
      io.rename('a/f', 'b/g');
      syncDirectory(io, synced);
      const after = disk.crash().createStorageIo();
      expect([after.list('a'), after.list('b')]).toEqual([[], ['g']]);
    }
  });

  test('a directory is lost with everything in it', () => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo();
    io.makeDirectory('a');
    write(io, 'a/f', 'f');
    sync(io, 'a/f');
    syncDirectory(io, 'a');
    expect(names(disk, 'none')).toEqual([]);
    expect(disk.crash('only-metadata:0').createStorageIo().list('a')).toEqual(['f']);
  });
});

describe('writes in flight', () => {
  test('that end at the same time are waited for by what one of them calls', async () => {
    const io = new SimulatedDisk().createStorageIo({ completesInline: false, latencyTicks: 1 });
    const file = io.open('/f', { create: true });
    const out = new CompletionBuffer();
    const tokens = [io.submitWrite(file, sectors('a', 1), 0), io.submitWrite(file, sectors('b', 1), SECTOR)];
    const told = await new Promise((resolve) => {
      io.onReady(() => {
        io.onReady(undefined);
        const polled = io.pollCompletions(out);
        resolve([polled, out.tokens[0], io.waitCompletions(out, 1), out.tokens[0]]);
      });
    });
    expect(told).toEqual([1, tokens[0], 1, tokens[1]]);
  });

  test('land in any part, and in any order', () => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo({ completesInline: false });
    const file = io.open('f', { create: true });
    const name = 1;
    io.submitWrite(file, sectors('a', 2), 0);
    io.submitWrite(file, sectors('b', 2), SECTOR);
    expect(disk.unsynced()).toEqual({ metadata: name + 2, sectors: 4 });
    const found = new Set<string>();
    for (let seed = 0; seed < 600; seed++) {
      const after = disk.crash(`random:${seed}`).createStorageIo();
      if (after.list('/').length > 0) found.add(letters(after, 'f'));
    }
    for (const state of ['', 'aa', 'aa-', '-bb', 'abb', 'aab', 'ab-', '--b', '--', '---']) {
      expect(found, state).toContain(state);
    }
  });

  test('do not all complete in the order of submission, and the same seed gives the same order', () => {
    const order = (seed: number): number[] => {
      const io = new SimulatedDisk({ seed }).createStorageIo({ completesInline: false, overlappedWrites: true });
      const file = io.open('f', { create: true });
      const tokens: number[] = [];
      for (let part = 0; part < 12; part++) io.submitWrite(file, sectors('x'), part * SECTOR);
      const out = new CompletionBuffer();
      while (tokens.length < 12) {
        const count = io.waitCompletions(out, 1);
        tokens.push(...out.tokens.subarray(0, count));
      }
      return tokens;
    };
    const first = order(5);
    expect(first).toEqual(order(5));
    expect(first).not.toEqual([...first].sort((a, b) => a - b));
    expect(first).not.toEqual(order(6));
  });

  test('write what the lent memory holds at some time while they are in flight', () => {
    const found = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const io = new SimulatedDisk({ seed }).createStorageIo({ completesInline: false });
      const file = io.open('f', { create: true });
      const lent = Buffer.from('before');
      io.submitWrite(file, lent, 0);
      lent.write('after!');
      drain(io);
      found.add(read(io, 'f').toString());
    }
    expect([...found].sort()).toEqual(['after!', 'before']);
  });

  test('take only simulated time: waiting with a limit ends at the limit, and can be continued', () => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo({ completesInline: false, latencyTicks: 1_000_000 });
    const file = io.open('f', { create: true });
    io.submitWrite(file, sectors('x'), 0);
    const out = new CompletionBuffer();
    let waits = 0;
    while (io.waitCompletions(out, 1, 10) === 0) waits++;
    expect(waits).toBeGreaterThan(0);
    expect(waits).toBeLessThanOrEqual(100);
  });
});

/** Waits for everything that is in flight. */
function drain(io: StorageIo): void {
  const out = new CompletionBuffer();
  while (io.pending > 0) io.waitCompletions(out, 1);
}

describe('faults', () => {
  test('fail one operation, and say which', () => {
    const { disk, io } = diskWithFile(sectors('a'));
    const first = disk.operations;
    disk.failWhen(({ number }) => (number === first + 2 ? 'EIO' : undefined));
    const file = io.open('f');
    expect(resultOf(io, io.submitWrite(file, sectors('b'), 0))).toBe(errnoNamed('EIO'));
    expect(disk.lastFailed).toEqual({ number: first + 2, kind: 'write', path: 'f' });
    expect(disk.operations).toBe(first + 2);
    expect(letters(io, 'f')).toBe('a');
    expect(resultOf(io, io.submitWrite(file, sectors('b'), 0))).toBe(SECTOR);
    disk.failWhen(undefined);
    io.close(file);
  });

  test('a sync that failed leaves the bytes readable, no later sync writes them, and a rewrite does', () => {
    const { disk, io } = diskWithFile(sectors('a', 2));
    sync(io, 'f');
    write(io, 'f', sectors('b', 2));
    disk.failWhen(({ kind }) => (kind === 'datasync' ? 'failing-sync' : undefined));
    expect(() => sync(io, 'f')).toThrow(expect.objectContaining({ systemCode: 'EIO' }));
    disk.failWhen(undefined);
    sync(io, 'f');
    expect(letters(io, 'f')).toBe('bb');
    write(io, 'f', sectors('b'), SECTOR);
    sync(io, 'f');
    expect(left(disk, 'none', 'all')).toEqual(['ab', 'bb']);
  });

  test('a durable write that failed is read, and not durable', () => {
    const { disk, io } = diskWithFile(sectors('a'));
    sync(io, 'f');
    disk.failWhen(({ kind }) => (kind === 'durable-write' ? 'failing-sync' : undefined));
    expect(() => writeDurably(io, 'f', sectors('b'))).toThrow(expect.objectContaining({ systemCode: 'EIO' }));
    disk.failWhen(undefined);
    sync(io, 'f');
    expect(letters(io, 'f')).toBe('b');
    expect(left(disk, 'none', 'all')).toEqual(['a', 'b']);
  });

  test('a sync that failed drops how long the file was made as well, and a rewrite makes it that long again', () => {
    const { disk, io } = diskWithFile(sectors('a'));
    sync(io, 'f');
    write(io, 'f', sectors('b', 2), SECTOR);
    failOnce(disk, 'datasync', 'failing-sync', () => sync(io, 'f'));
    sync(io, 'f');
    expect(letters(io, 'f')).toBe('abb');
    expect(left(disk.crash('all'), 'none')).toEqual(['abb']);
    const { disk: other, io: again } = diskWithFile(sectors('a'));
    sync(again, 'f');
    write(again, 'f', sectors('b', 2), SECTOR);
    failOnce(other, 'datasync', 'failing-sync', () => sync(again, 'f'));
    write(again, 'f', sectors('b'), SECTOR);
    sync(again, 'f');
    expect(letters(again, 'f')).toBe('abb');
    expect(left(other, 'none', 'all')).toEqual(['ab', 'abb']);
  });

  test('a sync that failed can have the cache give up what it dropped, some operations later', () => {
    const { disk, io } = diskWithFile(sectors('a', 3));
    sync(io, 'f');
    write(io, 'f', sectors('b', 2));
    failOnce(disk, 'datasync', 'evicting-sync', () => sync(io, 'f'));
    expect(letters(io, 'f')).toBe('bba');
    write(io, 'f', sectors('c'), SECTOR);
    for (let operations = 0; operations < 40; operations++) io.stat('f');
    const now = letters(io, 'f');
    expect(['aca', 'bca']).toContain(now);
    sync(io, 'f');
    expect(left(disk, 'none', 'all')).toEqual([now, now]);
  });

  test('a sync that finds no room loses what was written at once', () => {
    const { disk, io } = diskWithFile(sectors('a'));
    sync(io, 'f');
    write(io, 'f', sectors('b', 2));
    disk.failWhen(({ kind }) => (kind === 'datasync' ? 'ENOSPC' : undefined));
    expect(() => sync(io, 'f')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    disk.failWhen(undefined);
    expect(['a-', 'ab', 'b-', 'bb']).toContain(letters(io, 'f'));
    const now = letters(io, 'f');
    sync(io, 'f');
    expect([now, now.slice(0, 1)]).toContain(left(disk, 'none')[0]);
  });

  test('a disk can be read-only from an operation on, until the power goes', () => {
    const { disk, io } = diskWithFile(sectors('a'));
    sync(io, 'f');
    write(io, 'f', sectors('b'));
    failOnce(disk, 'datasync', 'read-only', () => sync(io, 'f'));
    for (const call of [
      () => sync(io, 'f'),
      () => write(io, 'f', 'x'),
      () => io.makeDirectory('d'),
      () => remove(io, 'f'),
    ]) {
      expect(call).toThrow(expect.objectContaining({ systemCode: 'EROFS' }));
    }
    expect(letters(io, 'f')).toBe('b');
    expect(left(disk, 'none', 'all')).toEqual(['a', 'b']);
    const after = disk.crash('none').createStorageIo();
    write(after, 'f', sectors('c'));
    sync(after, 'f');
  });

  test('a disk can be broken from an operation on, for reading too', () => {
    const { disk, io } = diskWithFile(sectors('a'));
    sync(io, 'f');
    failOnce(disk, 'stat', 'broken', () => io.stat('f'));
    expect(() => io.list('/')).toThrow(expect.objectContaining({ systemCode: 'EIO' }));
    expect(() => read(io, 'f')).toThrow(expect.objectContaining({ systemCode: 'EIO' }));
    expect(left(disk, 'none')).toEqual(['a']);
  });

  test.each(['full', 'flaky'] as const)(
    'a disk that is %s for a while does not come round when it was broken',
    (kind) => {
      const { disk, io } = diskWithFile(sectors('a'));
      failOnce(disk, 'stat', 'broken', () => io.stat('f'));
      disk.failWhen(() => kind);
      expect(() => io.makeDirectory('d')).toThrow();
      disk.failWhen(undefined);
      for (let operation = 0; operation < 100; operation++) {
        expect(() => io.stat('f')).toThrow(expect.objectContaining({ systemCode: 'EIO' }));
      }
    },
  );

  test('a disk can be full for a while, for everything that needs space, and then has space again', () => {
    const { disk, io } = diskWithFile(sectors('a'));
    sync(io, 'f');
    disk.failWhen(({ kind }) => (kind === 'truncate' ? 'full' : undefined));
    const noSpace = expect.objectContaining({ systemCode: 'ENOSPC' });
    let refused = 0;
    for (let round = 0; round < 10; round++) {
      expect(() => truncate(io, 'f', 2 * SECTOR)).toThrow(noSpace);
      try {
        write(io, 'f', sectors('b'));
      } catch (error) {
        expect(error).toEqual(noSpace);
        refused += 1;
      }
      expect(letters(io, 'f')).toMatch(/^[ab]$/);
    }
    expect(refused).toBeGreaterThan(0);
    disk.failWhen(undefined);
    for (let operations = 0; operations < 60; operations++) io.stat('f');
    write(io, 'f', sectors('c', 2));
    expect(letters(io, 'f')).toBe('cc');
    sync(io, 'f');
    expect(left(disk, 'none')).toEqual(['cc']);
  });

  test('a disk can fail now and then for a while, in syncs too, and then it is as before', () => {
    const failed = new Set<string>();
    for (let seed = 1; seed <= 20; seed++) {
      const disk = new SimulatedDisk({ seed });
      const io = disk.createStorageIo();
      write(io, 'f', sectors('a'));
      failOnce(disk, 'datasync', 'flaky', () => sync(io, 'f'));
      for (let operation = 0; operation < 60; operation += 3) {
        for (const [name, call] of Object.entries({
          write: () => write(io, 'f', sectors('b')),
          sync: () => sync(io, 'f'),
          read: () => io.stat('f'),
        })) {
          try {
            call();
          } catch (error) {
            expect(error).toEqual(expect.objectContaining({ systemCode: 'EIO' }));
            failed.add(name);
          }
        }
      }
      write(io, 'f', sectors('c'));
      sync(io, 'f');
      syncDirectory(io);
      expect(left(disk, 'none')).toEqual(['c']);
    }
    expect([...failed].sort()).toEqual(['read', 'sync', 'write']);
  });

  test('a process can be killed before an operation', () => {
    const { disk, io } = diskWithFile(sectors('a'));
    disk.failWhen(({ kind }) => (kind === 'write' ? 'killed' : undefined));
    expect(() => write(io, 'f', sectors('b'))).toThrow();
    disk.failWhen(undefined);
    expect(() => io.stat('f')).toThrow(expect.objectContaining({ code: 'WAL_CLOSED' }));
    expect(letters(disk.createStorageIo(), 'f')).toBe('a');
  });

  test('a short write leaves a part', () => {
    const { disk, io } = diskWithFile();
    disk.failWhen(({ kind }) => (kind === 'write' ? 'short-write' : undefined));
    expect(() => write(io, 'f', sectors('a', 4))).toThrow(expect.objectContaining({ systemCode: 'EIO' }));
    disk.failWhen(undefined);
    const { length } = read(io, 'f');
    expect(length).toBeGreaterThan(0);
    expect(length).toBeLessThan(4 * SECTOR);
  });

  test.each(['open', 'create', 'list', 'stat', 'rename', 'make-directory', 'read', 'truncate', 'remove'] as const)(
    '%s can fail, and changes nothing then',
    (kind) => {
      const { disk, io } = diskWithFile(sectors('a'));
      const calls: Record<typeof kind, () => unknown> = {
        open: () => io.open('f'),
        create: () => io.open('new', { create: true }),
        list: () => io.list('/'),
        stat: () => io.stat('f'),
        rename: () => io.rename('f', 'g'),
        'make-directory': () => io.makeDirectory('d'),
        read: () => read(io, 'f'),
        truncate: () => truncate(io, 'f', 0),
        remove: () => remove(io, 'f'),
      };
      disk.failWhen((operation) => (operation.kind === kind ? 'EIO' : undefined));
      expect(calls[kind]).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED', systemCode: 'EIO' }));
      disk.failWhen(undefined);
      expect(io.list('/')).toEqual(['f']);
      expect(letters(io, 'f')).toBe('a');
    },
  );
});

describe('a disk with a capacity', () => {
  test('accepts what fits, and then is full', () => {
    const disk = new SimulatedDisk({ capacityBytes: 4 * SECTOR });
    const io = disk.createStorageIo();
    write(io, 'f', sectors('a', 2));
    expect(disk.usedBytes).toBe(3 * SECTOR);
    expect(() => write(io, 'f', sectors('b', 3), 2 * SECTOR)).toThrow(
      expect.objectContaining({ code: 'WAL_NO_SPACE' }),
    );
    expect(letters(io, 'f'), 'as much as there was room for').toBe('aab');
    expect(() => write(io, 'g', 'x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(() => io.makeDirectory('d')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    expect(() => truncate(io, 'f', 4 * SECTOR)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    write(io, 'f', sectors('c', 3));
    truncate(io, 'f', SECTOR);
    write(io, 'g', 'x');
    expect(io.list('/')).toEqual(['f', 'g']);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    write(io, 'g', sectors('d', 10));
    expect(disk.usedBytes).toBe(13 * SECTOR);
  });

  test('has room again when a file is removed, also after a crash', () => {
    const disk = new SimulatedDisk({ capacityBytes: 3 * SECTOR });
    const io = disk.createStorageIo();
    write(io, 'f', sectors('a', 2));
    remove(io, 'f');
    write(io, 'g', sectors('b', 2));
    const after = disk.crash('all');
    expect(after.capacityBytes).toBe(3 * SECTOR);
    expect(() => write(after.createStorageIo(), 'h', 'x')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
  });
});

describe('rot', () => {
  test('inverts bits wherever they are', () => {
    const { disk, io } = diskWithFile(sectors('a', 2));
    sync(io, 'f');
    write(io, 'f', 'b', SECTOR);
    disk.rot('f', SECTOR, 0x80);
    disk.rot('f', SECTOR + 1);
    expect([...read(io, 'f').subarray(SECTOR, SECTOR + 3)]).toEqual([0xe2, 0x60, 0x61]);
    expect([...read(disk.crash().createStorageIo(), 'f').subarray(SECTOR, SECTOR + 3)]).toEqual([0xe1, 0x60, 0x61]);
    expect(() => disk.rot('f', 2 * SECTOR)).toThrow(RangeError);
    expect(() => disk.rot('f', 0, 256)).toThrow(RangeError);
    expect(() => disk.rot('g', 0)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    expect(() => disk.rot('/', 0)).toThrow(expect.objectContaining({ code: 'EISDIR' }));
  });
});

describe('processes', () => {
  const closed = expect.objectContaining({ code: 'WAL_CLOSED' });

  test('share the disk, and not their locks', () => {
    const disk = new SimulatedDisk();
    const one = disk.createStorageIo();
    const two = disk.createStorageIo();
    write(one, 'f', 'one');
    expect(read(two, 'f').toString()).toBe('one');
    one.lock('LOCK');
    expect(one.lockFile(one.open('f'), 'exclusive')).toBe(true);
    expect(() => two.lock('LOCK')).toThrow(expect.objectContaining({ code: 'WAL_LOCKED' }));
    expect(two.lockFile(two.open('f'), 'shared')).toBe(false);
  });

  test('that are killed leave the cache and no locks, and do nothing any more', () => {
    const { disk, io } = diskWithFile();
    io.lock('LOCK');
    const file = io.open('f');
    io.lockFile(file, 'exclusive');
    write(io, 'f', 'kept');
    const bystander = disk.createStorageIo();
    disk.kill(io);
    expect(read(bystander, 'f').toString()).toBe('kept');
    bystander.lock('LOCK')();
    expect(bystander.lockFile(bystander.open('f'), 'exclusive')).toBe(true);
    expect(() => io.list('/')).toThrow(closed);
    expect(() => io.open('f')).toThrow(closed);
    expect(resultOf(io, io.submitWrite(file, sectors('x'), 0))).toBe(errnoNamed('EIO'));
    expect(read(bystander, 'f').toString()).toBe('kept');
    expect(() => disk.kill(io)).toThrow(TypeError);
    disk.kill();
    expect(() => bystander.list('/')).toThrow(closed);
  });

  test('that are killed have writes in flight, which land later or never', async () => {
    const found = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const disk = new SimulatedDisk({ seed });
      const io = disk.createStorageIo({ completesInline: false });
      const file = io.open('f', { create: true });
      for (const [part, letter] of ['a', 'b'].entries()) io.submitWrite(file, sectors(letter), part * SECTOR);
      disk.kill(io);
      const next = disk.createStorageIo();
      expect(letters(next, 'f'), 'not yet').toBe('');
      for (let turns = 0; turns < 10; turns++) await turn();
      found.add(letters(next, 'f'));
      expect(io.stats().completed).toBe(0);
    }
    expect([...found].sort()).toEqual(['', '-b', 'a', 'ab']);
  });

  test('that are killed cut and extend nothing any more', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const disk = new SimulatedDisk({ seed });
      const io = disk.createStorageIo({ completesInline: false });
      write(disk.createStorageIo(), 'cut', sectors('a'));
      io.submitTruncate(io.open('cut'), 0);
      io.submitAllocate(io.open('extended', { create: true }), 0, 2 * SECTOR);
      disk.kill(io);
      const next = disk.createStorageIo();
      for (let turns = 0; turns < 10; turns++) await turn();
      expect([letters(next, 'cut'), letters(next, 'extended')]).toEqual(['a', '']);
    }
  });

  test('end with the power, and another crash of the same disk finds the same', () => {
    const { disk, io } = diskWithFile(sectors('a'));
    const one = disk.crash('all').createStorageIo();
    write(one, 'f', sectors('b'));
    expect(() => io.list('/')).toThrow(closed);
    expect(letters(disk.crash('all').createStorageIo(), 'f')).toBe('a');
    expect(() => disk.createStorageIo().list('/')).toThrow(closed);
  });
});

describe('survivors', () => {
  test('may be chosen one by one', () => {
    const { disk, io } = diskWithFile();
    write(io, 'f', sectors('a', 2));
    io.rename('f', 'g');
    const asked: unknown[] = [];
    const after = disk.crash((thing) => {
      asked.push(thing);
      return thing.kind !== 'sector' || thing.offset > 0;
    });
    expect(asked).toEqual([
      { kind: 'name', path: '/g', offset: 0 },
      { kind: 'size', path: '/g', offset: 2 * SECTOR },
      { kind: 'sector', path: '/g', offset: 0 },
      { kind: 'sector', path: '/g', offset: SECTOR },
    ]);
    expect(letters(after.createStorageIo(), 'g')).toBe('-a');
  });

  test.each(['some', 'random', 'random:', 'only-sector:-1', 'random:1.5', ''])('%j is none', (words) => {
    expect(() => new SimulatedDisk().crash(words as Survivors)).toThrow(RangeError);
  });

  test('are words or a function', () => {
    expect(() => new SimulatedDisk().crash(5 as never)).toThrow(TypeError);
  });
});

describe('wrong options', () => {
  test.each([
    [{ seed: -1 }, RangeError],
    [{ seed: '1' }, TypeError],
    [{ capacityBytes: Number.NaN }, RangeError],
    [{ capacityBytes: '1' }, TypeError],
    [{ sead: 1 }, TypeError],
  ])('of a disk: %j', (options, error) => {
    expect(() => new SimulatedDisk(options as never)).toThrow(error);
  });

  test.each([
    [{ canWait: false }, RangeError],
    [{ directAlignment: 24 }, RangeError],
    [{ directAlignment: 0 }, RangeError],
    [{ latencyTicks: 0 }, RangeError],
    [{ maxPending: 0 }, RangeError],
    [{ shortWrites: 1 }, TypeError],
    [{ inline: true }, TypeError],
  ])('of a backend: %j', (options, error) => {
    expect(() => new SimulatedDisk().createStorageIo(options as never)).toThrow(error);
  });

  test('a fault chooser is a function', () => {
    expect(() => new SimulatedDisk().failWhen('EIO' as never)).toThrow(TypeError);
  });
});
