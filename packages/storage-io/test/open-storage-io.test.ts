import { spawnSync } from 'node:child_process';
import { ringSupport } from '@walstack/native';
import { openStorageIo } from '@walstack/storage-io';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const ring = ringSupport();

/** What `auto` takes here, for the event loop and for waiting. */
const best = ring.available ? 'io-uring' : 'thread-pool';
const bestThatWaits = ring.available ? 'io-uring' : 'sync-fs';

beforeEach(() => {
  vi.stubEnv('WALSTACK_IO', undefined);
});

afterEach(() => {
  vi.unstubAllEnvs();
});

const rangeError = expect.objectContaining({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
const typeError = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });

describe('openStorageIo', () => {
  it('takes the best backend that works here and meets the needs', () => {
    expect(openStorageIo().name).toBe(best);
    expect(openStorageIo('auto').name).toBe(best);
    expect(openStorageIo('auto', { needs: 'async' }).name).toBe(best);
    expect(openStorageIo('auto', { needs: 'wait' }).name).toBe(bestThatWaits);
  });

  it('without the addon takes the thread pool, or sync-fs where waiting is needed, and reports why not io-uring', () => {
    const program = `import { openStorageIo } from ${JSON.stringify(import.meta.resolve('@walstack/storage-io'))};
      const said = [openStorageIo().name, openStorageIo('auto', { needs: 'wait' }).name];
      for (const open of [() => openStorageIo('io-uring'), () => {
        process.env.WALSTACK_IO = 'io-uring';
        openStorageIo();
      }]) try { open(); } catch ({ code, message }) { said.push(code, message.includes('WALSTACK_NATIVE=0')); }
      console.log(JSON.stringify(said));`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
      env: { ...process.env, WALSTACK_NATIVE: '0' },
      encoding: 'utf8',
    });
    expect(JSON.parse(stdout)).toEqual(['thread-pool', 'sync-fs', 'WAL_UNSUPPORTED', true, 'WAL_UNSUPPORTED', true]);
  });

  it.runIf(ring.available)('takes io-uring by its name', () => {
    expect(openStorageIo('io-uring').name).toBe('io-uring');
    expect(openStorageIo('io-uring', { needs: 'wait' }).capabilities.canWait).toBe(true);
  });

  it.runIf(!ring.available)('refuses io-uring where there is none, with the reason', () => {
    for (const needs of ['async', 'wait'] as const) {
      expect(() => openStorageIo('io-uring', { needs })).toThrow(
        expect.objectContaining({ code: 'WAL_UNSUPPORTED', message: expect.stringContaining(ring.reason ?? '') }),
      );
    }
  });

  it('takes what is named', () => {
    for (const name of ['thread-pool', 'sync-fs', 'memory'] as const) expect(openStorageIo(name).name).toBe(name);
    for (const name of ['sync-fs', 'memory'] as const) {
      expect(openStorageIo(name, { needs: 'wait' }).capabilities.canWait).toBe(true);
    }
  });

  it('refuses a named backend that does not meet the needs', () => {
    expect(() => openStorageIo('thread-pool', { needs: 'wait' })).toThrow(
      expect.objectContaining({ code: 'WAL_UNSUPPORTED', message: expect.stringContaining('sync-fs') }),
    );
  });

  it('passes maxPending on', () => {
    const io = openStorageIo('memory', { maxPending: 1 });
    const file = io.open('file', { create: true });
    io.submitDatasync(file);
    expect(() => io.submitDatasync(file)).toThrow(expect.objectContaining({ code: 'WAL_QUEUE_FULL', limit: 1 }));
    expect(() => openStorageIo('auto', { maxPending: 0 })).toThrow(rangeError);
  });

  it('checks its arguments', () => {
    expect(() => openStorageIo('uring' as never)).toThrow(rangeError);
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
    expect(openStorageIo('auto', { needs: 'wait' }).name).toBe(bestThatWaits);
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
    expect(openStorageIo().name).toBe(best);
  });

  it.each(['memory', 'auto', 'uring', 'Sync-fs', ' sync-fs'])('must not be %j', (value) => {
    vi.stubEnv('WALSTACK_IO', value);
    expect(() => openStorageIo()).toThrow(rangeError);
    expect(() => openStorageIo()).toThrow('WALSTACK_IO');
    expect(() => openStorageIo()).toThrow(value);
  });
});
