import { tmpdir } from 'node:os';
import { CompletionBuffer, createMemoryStorageIo, createSyncFsStorageIo, fromAsyncFileOps } from '@walstack/storage-io';
import { expect, it } from 'vitest';
import { ByHand, TinyFiles, tinyAsyncOps } from './tiny-ops.js';

it.each([
  ['sync-fs', createSyncFsStorageIo],
  ['memory', createMemoryStorageIo],
])('how long to wait is a number of milliseconds, on %s', async (_name, create) => {
  await using io = create();
  const out = new CompletionBuffer(4);
  for (const [timeoutMs, code] of [
    ['soon', 'ERR_INVALID_ARG_TYPE'],
    [-1, 'ERR_OUT_OF_RANGE'],
    [1.5, 'ERR_OUT_OF_RANGE'],
    [Number.NaN, 'ERR_OUT_OF_RANGE'],
    [2 ** 40, 'ERR_OUT_OF_RANGE'],
  ]) {
    expect(() => io.waitCompletions(out, 0, timeoutMs as number)).toThrow(expect.objectContaining({ code }));
  }
  expect(io.waitCompletions(out, 0, 0)).toBe(0);
});

it('a listener that is refused, as the backend is being disposed of, does not take the place of the one before', async () => {
  const hand = new ByHand();
  const io = fromAsyncFileOps(tinyAsyncOps(new TinyFiles(), hand.schedule));
  const file = io.open('d/file', { create: true });
  const heard: string[] = [];
  const out = new CompletionBuffer(4);
  io.onReady(() => {
    heard.push('first');
    io.pollCompletions(out);
  });
  io.submitDatasync(file);
  const disposed = io.dispose();
  expect(() => io.onReady(() => heard.push('second'))).toThrow(expect.objectContaining({ code: 'WAL_CLOSED' }));
  hand.all();
  await disposed;
  expect(heard).toEqual(['first']);
});

it.each([
  ['sync-fs', createSyncFsStorageIo],
  ['memory', createMemoryStorageIo],
])('options that are none are refused, on %s', async (_name, create) => {
  await using io = create();
  const path = io.name === 'memory' ? '/file' : `${tmpdir()}/walstack-never-created`;
  const wrong = expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' });
  expect(() => io.open(path, { creates: true } as never)).toThrow(wrong);
  expect(() => io.stat(path)).toThrow(expect.objectContaining({ code: 'WAL_NOT_FOUND' }));
});
