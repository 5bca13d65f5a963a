import { createMemoryStorageIo, MemoryDisk } from '@walstack/storage-io';
import { errnoNamed } from '@walstack/storage-io/internal';
import { describe, expect, it } from 'vitest';
import { resultOf } from './polling.js';

describe('a memory disk', () => {
  it('outlives its backends', async () => {
    const disk = new MemoryDisk();
    const first = createMemoryStorageIo({ disk });
    first.makeDirectory('log');
    const file = first.open('log/a', { create: true });
    resultOf(first, first.submitWrite(file, Buffer.from('kept'), 0));
    await first.dispose();
    const second = createMemoryStorageIo({ disk });
    const into = Buffer.alloc(4);
    resultOf(second, second.submitRead(second.open('log/a'), into, 0));
    expect(into.toString()).toBe('kept');
  });

  it('is not shared unless it is passed', () => {
    createMemoryStorageIo().makeDirectory('log');
    expect(() => createMemoryStorageIo().list('log')).toThrow(expect.objectContaining({ code: 'WAL_NOT_FOUND' }));
  });

  it('has one root, and resolves paths as a file system does', () => {
    const io = createMemoryStorageIo();
    io.makeDirectory('/log');
    io.makeDirectory('log/deep');
    io.close(io.open('/log/./deep/../deep//file', { create: true }));
    expect(io.list('log/deep/')).toEqual(['file']);
    expect(io.list('/')).toEqual(['log']);
    expect(io.list('.')).toEqual(['log']);
    expect(io.stat('/')).toMatchObject({ kind: 'directory', size: 0 });
    expect(() => io.open('/')).toThrow(expect.objectContaining({ systemCode: 'EISDIR' }));
    expect(() => io.makeDirectory('/')).toThrow(expect.objectContaining({ systemCode: 'EEXIST' }));
    expect(() => io.list('log/deep/file')).toThrow(expect.objectContaining({ systemCode: 'ENOTDIR' }));
    expect(() => io.open('log/deep/file/x', { create: true })).toThrow(
      expect.objectContaining({ systemCode: 'ENOTDIR' }),
    );
  });

  it('refuses what would make no tree', () => {
    const io = createMemoryStorageIo();
    io.makeDirectory('a');
    io.makeDirectory('a/b');
    io.makeDirectory('c');
    io.close(io.open('file', { create: true }));
    const systemCode = (code: string) => expect.objectContaining({ systemCode: code });
    expect(() => io.rename('a', 'a/b/c')).toThrow(systemCode('EINVAL'));
    expect(() => io.rename('a', 'a/x')).toThrow(systemCode('EINVAL'));
    expect(() => io.rename('a', 'file')).toThrow(systemCode('ENOTDIR'));
    expect(() => io.rename('file', 'a')).toThrow(systemCode('EISDIR'));
    expect(() => io.rename('a', 'c')).toThrow(systemCode('ENOTEMPTY'));
    io.rename('a', 'a');
    io.rename('file', 'file');
    expect(io.list('/')).toEqual(['a', 'c', 'file']);
    expect(resultOf(io, io.submitRemove('/'))).toBe(errnoNamed('EISDIR'));
  });

  it('keeps a removed file as long as it is open', () => {
    const io = createMemoryStorageIo();
    const file = io.open('file', { create: true });
    resultOf(io, io.submitWrite(file, Buffer.from('abc'), 0));
    resultOf(io, io.submitRemove('file'));
    expect(io.size(file)).toBe(3);
    expect(io.list('/')).toEqual([]);
    const again = io.open('file', { create: true });
    expect(io.size(again)).toBe(0);
  });

  it('does not allocate more memory than there is', () => {
    const io = createMemoryStorageIo();
    const file = io.open('file', { create: true });
    const tooBig = errnoNamed('EFBIG');
    expect(resultOf(io, io.submitWrite(file, Buffer.from('a'), 2 ** 50))).toBe(tooBig);
    expect(resultOf(io, io.submitTruncate(file, 2 ** 50))).toBe(tooBig);
    expect(resultOf(io, io.submitAllocate(file, 0, 2 ** 50))).toBe(tooBig);
    expect(io.size(file)).toBe(0);
    expect(resultOf(io, io.submitAppend(file, Buffer.from('a')))).toBe(1);
  });

  it('drops what was cut off', () => {
    const io = createMemoryStorageIo();
    const file = io.open('file', { create: true });
    resultOf(io, io.submitWrite(file, Buffer.from('secret'), 0));
    resultOf(io, io.submitTruncate(file, 1));
    resultOf(io, io.submitWrite(file, Buffer.from('!'), 5));
    const into = Buffer.alloc(6);
    resultOf(io, io.submitRead(file, into, 0));
    expect(into.toString()).toBe('s\0\0\0\0!');
  });

  it('must be a MemoryDisk', () => {
    const typeError = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    expect(() => createMemoryStorageIo({ disk: {} as MemoryDisk })).toThrow(typeError);
    expect(() => createMemoryStorageIo({ wordl: new MemoryDisk() } as never)).toThrow(typeError);
  });
});
