import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { platform } from 'node:process';
import { inspect } from 'node:util';
import { KEY_BYTES, KeyRing, type WalError } from '@walstack/codec';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

const key = (byte: number): Uint8Array => new Uint8Array(KEY_BYTES).fill(byte);
const walError = (facts: object) => expect.objectContaining({ name: 'WalError', ...facts });

describe('a ring of given keys', () => {
  it('has a current key and earlier ones', () => {
    const ring = KeyRing.of({ id: 3, key: key(3) }, [
      { id: 1, key: key(1) },
      { id: 2, key: key(2) },
    ]);
    expect([ring.currentId, ring.ids, ring.has(2), ring.has(4)]).toEqual([3, [1, 2, 3], true, false]);
  });

  it('takes a further key, which becomes the current one by use', () => {
    const ring = KeyRing.of({ id: 1, key: key(1) });
    expect(() => ring.use(2)).toThrow(walError({ code: 'WAL_BAD_KEY', reason: 'missing-key', keyId: 2 }));
    ring.add({ id: 2, key: key(2) });
    expect(ring.currentId).toBe(1);
    ring.use(2);
    expect(ring.currentId).toBe(2);
  });

  it('keeps a copy, and takes one key twice but no two with one id', () => {
    const bytes = key(1);
    const ring = KeyRing.of({ id: 1, key: bytes }, [{ id: 1, key: bytes }]);
    bytes.fill(9);
    ring.add({ id: 1, key: key(1) });
    expect(() => ring.add({ id: 1, key: bytes })).toThrow(walError({ code: 'WAL_STATE', keyId: 1 }));
  });

  it.each([0, -1, 1.5, 2 ** 32, Number.NaN])('refuses the id %d', (id) => {
    const outOfRange = expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' });
    expect(() => KeyRing.of({ id, key: key(1) })).toThrow(outOfRange);
    expect(() => KeyRing.fromCallback(id, () => key(1))).toThrow(outOfRange);
  });

  it('refuses what is no key', () => {
    for (const length of [0, 16, 31, 33]) {
      expect(() => KeyRing.of({ id: 1, key: new Uint8Array(length) })).toThrow(
        expect.objectContaining({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' }),
      );
    }
    for (const wrong of [undefined, null, 'k'.repeat(32), {}, { id: '1', key: key(1) }, { id: 1, key: 'k' }]) {
      expect(() => KeyRing.of(wrong as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
    }
    expect(() => KeyRing.of({ id: 1, key: key(1) }, 7 as never)).toThrow(TypeError);
    expect(() => KeyRing.fromCallback(1, 7 as never)).toThrow(TypeError);
  });

  it.each([
    ['hexadecimal digits', '8f1d63a5c70b92e4'.repeat(4)],
    ['base64', `${'q8Zr3TnLw5'.repeat(4)}abc=`],
    ['a large number', BigInt(`0x${'8f1d63a5c70b92e4'.repeat(4)}`)],
  ])('shows no part of a key that is given in %s where something else is wanted', async (_form, given) => {
    const id = 1;
    const secret = String(given);
    const calls: (() => unknown)[] = [
      () => KeyRing.of(given as never),
      () => KeyRing.of({ id, key: given } as never),
      () => KeyRing.of({ id: given, key: key(1) } as never),
      () => KeyRing.of({ id, key: key(1) }, given as never),
      () => KeyRing.of({ id, key: key(1) }, [given] as never),
      () => KeyRing.of({ id, key: key(1) }, [{ id: 2, key: given }] as never),
      () => KeyRing.of({ id, key: key(1) }).add(given as never),
      () => KeyRing.of({ id, key: key(1) }).use(given as never),
      () => KeyRing.fromCallback(given as never, () => key(1)),
      () => KeyRing.fromCallback(id, given as never),
      () => KeyRing.fromCallback(id, () => given as never).loadSync(),
      () => KeyRing.fromCallback(id, async () => given as never).load(),
      () => KeyRing.fromCallback(id, () => key(1)).loadSync([given] as never),
      () => KeyRing.fromFile(given as never),
      () => KeyRing.fromFileSync(given as never),
    ];
    for (const call of calls) {
      const error = await (async () => call())().then(
        () => new Error('nothing was thrown'),
        (thrown: Error) => thrown,
      );
      const said = `${error.message}${error.stack}${inspect(error, { depth: 9, showHidden: true })}`;
      expect(error.message, String(call)).not.toBe('nothing was thrown');
      for (let at = 0; at + 6 <= secret.length; at++)
        expect(said, String(call)).not.toContain(secret.slice(at, at + 6));
    }
  });

  it('shows nothing of its keys', () => {
    const ring = KeyRing.of({ id: 1, key: Buffer.from('sixteen bytes of secret, and more').subarray(0, 32) });
    const shown = `${inspect(ring, { showHidden: true, depth: 9 })}${JSON.stringify(ring)}${String(ring)}`;
    expect(shown).not.toMatch(/secret|73 ?65 ?63|115/);
  });
});

describe('a ring with a callback', () => {
  it('asks for each key once, when it is needed', async () => {
    const source = vi.fn(async (id: number) => (id < 9 ? key(id) : undefined));
    const ring = KeyRing.fromCallback(2, source);
    expect([ring.currentId, ring.ids]).toEqual([2, []]);
    await ring.load();
    await ring.load([1, 2]);
    await ring.load([9]);
    expect(ring.ids).toEqual([1, 2]);
    expect(source.mock.calls).toEqual([[2], [1], [9]]);
    await ring.load([9]);
    expect(source).toHaveBeenCalledTimes(4);
  });

  it('is asked once by calls that come side by side, and again when it failed', async () => {
    const source = vi.fn(async (id: number) => {
      await new Promise(setImmediate);
      if (source.mock.calls.length === 1) throw new Error('not yet');
      return key(id);
    });
    const ring = KeyRing.fromCallback(2, source);
    const failed = { status: 'rejected', reason: expect.objectContaining({ reason: 'key-source' }) };
    expect(await Promise.allSettled([ring.load(), ring.load([2, 2])])).toEqual([failed, failed]);
    expect(source).toHaveBeenCalledTimes(1);
    await Promise.all([ring.load(), ring.load([2, 2]), ring.load([2])]);
    expect(source).toHaveBeenCalledTimes(2);
  });

  it.each([
    ['has no text', Object.create(null)],
    [
      'has a text that cannot be had',
      {
        toString: () => {
          throw new Error('no text');
        },
      },
    ],
  ])('may throw what %s', async (_what, thrown) => {
    const ring = KeyRing.fromCallback(4, () => {
      throw thrown;
    });
    const failed = { code: 'WAL_BAD_KEY', reason: 'key-source', cause: thrown };
    await expect(ring.load()).rejects.toMatchObject(failed);
    expect(() => ring.loadSync()).toThrow(walError({ code: 'WAL_BAD_KEY', reason: 'key-source' }));
  });

  it('can be called by a blocking call when it returns a key', () => {
    const ring = KeyRing.fromCallback(1, (id) => key(id));
    ring.loadSync();
    ring.loadSync([1, 5]);
    expect(ring.ids).toEqual([1, 5]);
  });

  it('cannot be called by a blocking call when it returns a promise', async () => {
    const ring = KeyRing.fromCallback(1, async () => {
      throw new Error('an error that is not reported');
    });
    expect(() => ring.loadSync()).toThrow(walError({ code: 'WAL_UNSUPPORTED', keyId: 1 }));
    await new Promise(setImmediate);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('the service is down');
      },
    ],
    ['gives no key', () => new Uint8Array(16)],
    ['gives something else', () => 'key'],
  ])('that %s is WAL_BAD_KEY with its cause', async (_what, source) => {
    const ring = KeyRing.fromCallback(4, source as never);
    const failed = walError({ code: 'WAL_BAD_KEY', reason: 'key-source', keyId: 4, cause: expect.any(Error) });
    expect(() => ring.loadSync()).toThrow(failed);
    await expect(ring.load()).rejects.toThrow(failed);
  });

  it('is asked for nothing by a ring without one', async () => {
    const ring = KeyRing.of({ id: 1, key: key(1) });
    await ring.load([7]);
    ring.loadSync([7]);
    expect(ring.ids).toEqual([1]);
  });
});

describe('a ring from a file', () => {
  let folder: string;
  const hex = (byte: number): string => Buffer.from(key(byte)).toString('hex');
  const base64 = (byte: number): string => Buffer.from(key(byte)).toString('base64');

  beforeEach(() => {
    folder = temporaryDirectory();
  });

  const write = (text: string, mode = 0o600): string => {
    const path = join(folder, 'keys.json');
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };

  /** Both forms of the call must say the same. */
  const refused = async (path: string, facts: object): Promise<WalError> => {
    await expect(KeyRing.fromFile(path)).rejects.toThrow(walError(facts));
    try {
      KeyRing.fromFileSync(path);
    } catch (error) {
      expect(error).toEqual(walError(facts));
      return error as WalError;
    }
    throw new Error('nothing was thrown');
  };

  it('has its keys, in hexadecimal digits or base64, and its current one', async () => {
    const path = write(
      JSON.stringify({ current: 2, keys: { 1: hex(1), 2: base64(2), 4294967295: hex(3).toUpperCase() } }),
    );
    for (const ring of [await KeyRing.fromFile(path), KeyRing.fromFileSync(path)]) {
      expect([ring.currentId, ring.ids]).toEqual([2, [1, 2, 4_294_967_295]]);
      // They are those keys: another with the same id is refused.
      ring.add({ id: 1, key: key(1) });
      ring.add({ id: 2, key: key(2) });
    }
  });

  it.skipIf(platform === 'win32')('that group or others have access to is rejected', async () => {
    for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o666, 0o777]) {
      const path = write(JSON.stringify({ current: 1, keys: { 1: hex(1) } }), mode);
      const { message } = await refused(path, { code: 'WAL_BAD_KEY', reason: 'permissions', path });
      expect(message).toContain(`mode ${mode.toString(8)}`);
    }
    const path = write(JSON.stringify({ current: 1, keys: { 1: hex(1) } }), 0o400);
    expect(KeyRing.fromFileSync(path).ids).toEqual([1]);
  });

  it.each([
    ['no JSON', `{ "current": 1, "keys": { "1": ${'a'.repeat(64)} } }`],
    ['nothing', ''],
    ['no object', '[1]'],
    ['no keys', '{"current":1}'],
    ['keys that are a list', '{"current":1,"keys":["x"]}'],
    ['no current key', `{"keys":{"1":"${'a'.repeat(64)}"}}`],
    ['a current key that is not there', `{"current":2,"keys":{"1":"${'a'.repeat(64)}"}}`],
    ['a current key as text', `{"current":"1","keys":{"1":"${'a'.repeat(64)}"}}`],
    ['the id 0', `{"current":0,"keys":{"0":"${'a'.repeat(64)}"}}`],
    ['an id that is no number', `{"current":1,"keys":{"1":"${'a'.repeat(64)}","one":"${'a'.repeat(64)}"}}`],
    ['an id beyond 32 bits', `{"current":4294967296,"keys":{"4294967296":"${'a'.repeat(64)}"}}`],
    ['a short key', `{"current":1,"keys":{"1":"${'a'.repeat(62)}"}}`],
    ['a key that is no text', '{"current":1,"keys":{"1":7}}'],
    ['more than a mebibyte', ' '.repeat(1024 * 1024 + 1)],
  ])('with %s in it is refused, and its content is not in the error', async (_what, text) => {
    const path = write(text);
    const error = await refused(path, { code: 'WAL_BAD_KEY', reason: 'key-file', path });
    expect(`${error.message}${inspect(error.cause)}`).not.toContain('aaaa');
  });

  it('that does not exist, or is a directory, has an error of its own', async () => {
    await refused(join(folder, 'none'), { code: 'WAL_NOT_FOUND', path: join(folder, 'none'), systemCode: 'ENOENT' });
    await refused(folder, { code: 'WAL_BAD_KEY', reason: 'key-file' });
    await expect(KeyRing.fromFile(7 as never)).rejects.toThrow(TypeError);
  });
});
