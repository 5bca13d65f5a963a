import { LogTail, type LogTailOptions } from '@walstack/mmap-reader';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { expect, it } from 'vitest';

const GIBIBYTE = 1024 * 1024 * 1024;

it.each<[object, string]>([
  [{ from: 0 }, 'ERR_OUT_OF_RANGE'],
  [{ from: null }, 'ERR_INVALID_ARG_TYPE'],
  [{ from: { lsn: 1 } }, 'ERR_INVALID_ARG_TYPE'],
  [{ durableOnly: 1 }, 'ERR_INVALID_ARG_TYPE'],
  [{ upTo: 1 }, 'ERR_INVALID_ARG_TYPE'],
  [{ durable: 1 }, 'ERR_INVALID_ARG_TYPE'],
  [{ copy: 1 }, 'ERR_INVALID_ARG_TYPE'],
  [{ matches: 1 }, 'ERR_INVALID_ARG_TYPE'],
  [{ keyRing: {} }, 'ERR_INVALID_ARG_TYPE'],
  [{ allowPlaintext: 1 }, 'ERR_INVALID_ARG_TYPE'],
  [{ encryptedFrom: 1 }, 'ERR_INVALID_ARG_TYPE'],
  [{ maxPayloadBytes: -1 }, 'ERR_OUT_OF_RANGE'],
  [{ maxPayloadBytes: GIBIBYTE + 1 }, 'ERR_OUT_OF_RANGE'],
  [{ form: 1 }, 'ERR_INVALID_ARG_TYPE'],
])('a tail refuses %j', (options, code) => {
  const io = createMemoryStorageIo();
  expect(() => new LogTail(io, '/log', options as LogTailOptions)).toThrow(expect.objectContaining({ code }));
});

it('a tail accepts payloads of up to 1 GiB', () => {
  const tail = new LogTail(createMemoryStorageIo(), '/log', { maxPayloadBytes: GIBIBYTE });
  expect(tail.nextLsn).toBeUndefined();
});
