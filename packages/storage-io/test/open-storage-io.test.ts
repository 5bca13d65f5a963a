import { openStorageIo } from '@walstack/storage-io';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

beforeEach(() => {
  vi.stubEnv('WALSTACK_IO', undefined);
});

afterEach(() => {
  vi.unstubAllEnvs();
});

const rangeError = expect.objectContaining({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
const typeError = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });

describe('openStorageIo', () => {
  it('takes the thread pool, or sync-fs where waiting is needed', () => {
    expect(openStorageIo().name).toBe('thread-pool');
    expect(openStorageIo('auto').name).toBe('thread-pool');
    expect(openStorageIo('auto', { needs: 'async' }).name).toBe('thread-pool');
    expect(openStorageIo('auto', { needs: 'wait' }).name).toBe('sync-fs');
  });

  it('takes what is named', () => {
    for (const name of ['thread-pool', 'sync-fs', 'memory'] as const) expect(openStorageIo(name).name).toBe(name);
    for (const name of ['sync-fs', 'memory'] as const) {
      expect(openStorageIo(name, { needs: 'wait' }).capabilities.canWait).toBe(true);
    }
  });

  it('refuses what is named and cannot do what is needed', () => {
    expect(() => openStorageIo('thread-pool', { needs: 'wait' })).toThrow(
      expect.objectContaining({ code: 'WAL_UNSUPPORTED', message: expect.stringContaining('sync-fs') }),
    );
  });

  it('hands maxPending on', () => {
    const io = openStorageIo('memory', { maxPending: 1 });
    const file = io.open('file', { create: true });
    io.submitDatasync(file);
    expect(() => io.submitDatasync(file)).toThrow(expect.objectContaining({ code: 'WAL_QUEUE_FULL', limit: 1 }));
    expect(() => openStorageIo('auto', { maxPending: 0 })).toThrow(rangeError);
  });

  it('checks its arguments', () => {
    expect(() => openStorageIo('io-uring' as never)).toThrow(rangeError);
    expect(() => openStorageIo('' as never)).toThrow(rangeError);
    expect(() => openStorageIo(5 as never)).toThrow(typeError);
    expect(() => openStorageIo('auto', { needs: 'both' as never })).toThrow(rangeError);
    expect(() => openStorageIo('auto', { need: 'wait' } as never)).toThrow(typeError);
    expect(() => openStorageIo('auto', null as never)).toThrow(typeError);
  });
});

describe('WALSTACK_IO', () => {
  it('overrides auto', () => {
    vi.stubEnv('WALSTACK_IO', 'sync-fs');
    expect(openStorageIo().name).toBe('sync-fs');
    vi.stubEnv('WALSTACK_IO', 'thread-pool');
    expect(openStorageIo('auto').name).toBe('thread-pool');
  });

  it('does not override what is needed', () => {
    vi.stubEnv('WALSTACK_IO', 'thread-pool');
    expect(openStorageIo('auto', { needs: 'wait' }).name).toBe('sync-fs');
    vi.stubEnv('WALSTACK_IO', 'sync-fs');
    expect(openStorageIo('auto', { needs: 'wait' }).name).toBe('sync-fs');
  });

  it('does not override a name', () => {
    vi.stubEnv('WALSTACK_IO', 'sync-fs');
    expect(openStorageIo('thread-pool').name).toBe('thread-pool');
    expect(openStorageIo('memory').name).toBe('memory');
    vi.stubEnv('WALSTACK_IO', 'nonsense');
    expect(openStorageIo('memory').name).toBe('memory');
  });

  it('that is empty counts as not set', () => {
    vi.stubEnv('WALSTACK_IO', '');
    expect(openStorageIo().name).toBe('thread-pool');
  });

  it.each(['memory', 'auto', 'io-uring', 'Sync-fs', ' sync-fs'])('must not be %j', (value) => {
    vi.stubEnv('WALSTACK_IO', value);
    expect(() => openStorageIo()).toThrow(rangeError);
    expect(() => openStorageIo()).toThrow('WALSTACK_IO');
    expect(() => openStorageIo()).toThrow(value);
  });
});
