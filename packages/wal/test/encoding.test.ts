import { createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { type Encoding, Wal, type WalEvent } from '@walstack/wal';
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { eventsOf } from './support/outcomes.js';

let io: StorageIo;
let directory: string;

beforeEach(() => {
  io = createSyncFsStorageIo();
  directory = directoryFor(io);
});

afterEach(() => io.dispose());

const payloads = async <T, I>(wal: Wal<T, I>, copy = true): Promise<T[]> => {
  const found: T[] = [];
  await wal.replay('first', ({ payload }) => found.push(payload), { copy });
  return found;
};

interface Order {
  readonly id: number;
  readonly items: readonly string[];
}

/** A number as eight bytes. */
const float: Encoding<number, number | string> = {
  name: 'float',
  encode: (value) => new Uint8Array(new Float64Array([Number(value)]).buffer),
  decode: (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getFloat64(0, true),
};

describe('payloads', () => {
  test('are bytes unless the log is opened with an encoding', async () => {
    await using wal = await Wal.open(directory, { io });
    expectTypeOf(wal).toEqualTypeOf<Wal<Uint8Array, Uint8Array | string>>();
    wal.append('text');
    wal.append(new Uint8Array([1, 2]));
    expect(await payloads(wal)).toEqual([new Uint8Array(Buffer.from('text')), new Uint8Array([1, 2])]);
  });

  test("are Buffers with 'buffer'", async () => {
    await using wal = await Wal.open(directory, { io, encoding: 'buffer' });
    expectTypeOf(wal).toEqualTypeOf<Wal<Buffer, Buffer | Uint8Array | string>>();
    await wal.commit('text');
    for (const copy of [true, false]) {
      await wal.replay('first', ({ payload }) => expect(payload.toString('hex')).toBe('74657874'), { copy });
    }
    expect(Buffer.isBuffer((await payloads(wal))[0])).toBe(true);
  });

  test('are strings with utf8, whatever characters they have', async () => {
    await using wal = await Wal.open(directory, { io, encoding: 'utf8' });
    expectTypeOf(wal).toEqualTypeOf<Wal<string, string>>();
    const texts = ['', 'plain', '\ufeffmark', 'ümläut € 𝄞', '\0'];
    for (const text of texts) await wal.commit(text);
    expect(await payloads(wal)).toEqual(texts);
    expect(await payloads(wal, false)).toEqual(texts);
    expect(thrown(() => wal.append(5 as never))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    expect(wal.lastLsn).toBe(texts.length);
  });

  test('are any value that JSON can represent with json, with the declared type', async () => {
    await using wal = await Wal.open<Order>(directory, { io, encoding: 'json' });
    expectTypeOf(wal.append).parameter(0).toEqualTypeOf<Order>();
    const orders: Order[] = [
      { id: 1, items: ['a'] },
      { id: 2, items: [] },
    ];
    wal.append(orders[0] as Order);
    await wal.commit(orders[1] as Order);
    for await (const event of wal.iterator()) {
      expectTypeOf(event).toEqualTypeOf<WalEvent<Order>>();
      expect(event.payload).toEqual(orders[event.lsn - 1]);
    }
    expect([...wal.iterator(2)].map(({ payload }) => payload.id)).toEqual([2]);
    expect(thrown(() => wal.append(undefined as never))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    expect(await rejection(wal.commit((() => {}) as never))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    expect(thrown(() => wal.append({ id: 1n } as never))).toBeInstanceOf(TypeError);
    expect(wal.lastLsn).toBe(2);
  });

  test('go through an encoding of the user, which may accept more than it returns', async () => {
    await using wal = await Wal.open(directory, { io, encoding: float });
    expectTypeOf(wal).toEqualTypeOf<Wal<number, number | string>>();
    wal.append(1.5);
    await wal.commit('2.5');
    expect(await payloads(wal)).toEqual([1.5, 2.5]);
    expect(await eventsOf(wal as never)).toMatchObject([
      { lsn: 1, type: 0, payload: 1.5 },
      { lsn: 2, payload: 2.5 },
    ]);
  });

  test('go through it in a batch as well, and meta does not', async () => {
    await using wal = await Wal.open(directory, { io, encoding: 'json' });
    const batch = wal.batch().add({ a: 1 }, { type: 7, meta: 'm' }).add([2]);
    expect([batch.length, batch.isSpent]).toEqual([2, false]);
    expect(batch.sizeBytes).toBe(32 + 1 + 7 + 32 + 3);
    const again = batch.clone();
    expect(await wal.commitBatch(batch)).toBe(2);
    expect([batch.isSpent, again.isSpent]).toEqual([true, false]);
    expect(wal.appendBatch(again)).toBe(4);
    expect(await payloads(wal)).toEqual([{ a: 1 }, [2], { a: 1 }, [2]]);
    const [first] = [...wal.iterator()];
    expect(Buffer.from(first?.meta as Uint8Array).toString()).toBe('m');
  });

  test('go through it when their commit has to wait for room', async () => {
    await using wal = await Wal.open<string[]>(directory, { io, encoding: 'json', maxPendingBytes: 50 });
    const payload = ['x'.repeat(100)];
    const commits = [wal.commit(payload), wal.commit(payload)];
    payload[0] = 'changed';
    expect(await Promise.all(commits)).toEqual([1, 2]);
    expect(await payloads(wal)).toEqual([['x'.repeat(100)], ['x'.repeat(100)]]);
  });
});

describe('text that UTF-8 cannot carry', () => {
  test('is rejected by utf8 when it is appended, and the message does not contain it', async () => {
    await using wal = await Wal.open(directory, { io, encoding: 'utf8' });
    for (const wrong of ['\ud800', 'secret \udc00', '\udfff\ud800']) {
      for (const error of [thrown(() => wal.append(wrong)), await rejection(wal.commit(wrong))]) {
        expect(error).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
        expect(error.message).not.toContain('secret');
      }
      expect(() => wal.batch().add(wrong)).toThrow(RangeError);
    }
    expect(await wal.commit('\ud83d\ude00 \ufffd')).toBe(1);
    expect((await wal.read(1))?.payload).toBe('\ud83d\ude00 \ufffd');
  });

  test('is rejected by json when it is read, and not replaced', async () => {
    {
      await using bytes = await Wal.open(directory, { io });
      await bytes.commit(Uint8Array.of(0x22, 0xff, 0x22));
      await bytes.commit('"\ufffd"');
    }
    await using wal = await Wal.open(directory, { io, encoding: 'json' });
    expect(await rejection(wal.read(1))).toMatchObject({ code: 'WAL_BAD_PAYLOAD', lsn: 1, reason: 'encoding' });
    expect((await wal.read(2))?.payload).toBe('\ufffd');
    // JSON escapes lone surrogates.
    expect(await wal.commit('\ud800')).toBe(3);
    expect((await wal.read(3))?.payload).toBe('\ud800');
  });
});

describe('an encoding that does not fit', () => {
  test('what cannot be decoded is WAL_BAD_PAYLOAD with its LSN and the cause, and can be read as bytes', async () => {
    const written = await Wal.open(directory, { io });
    await written.commit('{"a":1}');
    await written.commit(new Uint8Array([0xff]));
    await written.shutdown();
    for (const encoding of ['json', 'utf8'] as const) {
      await using wal = await Wal.open(directory, { io, encoding: encoding as 'utf8' });
      const error = await rejection(wal.replay('first', () => {}));
      expect(error).toMatchObject({ code: 'WAL_BAD_PAYLOAD', lsn: 2, cause: expect.any(Error) });
      expect(error.message).toContain(encoding);
    }
    await using wal = await Wal.open(directory, { io, encoding: 'view' });
    expect(await payloads(wal)).toHaveLength(2);
  });

  test('decode may throw a value that cannot be converted to text', async () => {
    const nothing: unknown = Object.create(null);
    const encoding: Encoding<string> = {
      name: 'mute',
      encode: (text) => text,
      decode: () => {
        throw nothing;
      },
    };
    await using wal = await Wal.open(directory, { io, encoding });
    await wal.commit('a');
    expect(await rejection(wal.read(1))).toMatchObject({ code: 'WAL_BAD_PAYLOAD', lsn: 1, cause: nothing });
  });

  test('an error of encode is thrown, and nothing was appended', async () => {
    const error = new Error('not today');
    const encoding: Encoding<string> = {
      name: 'unwilling',
      encode: () => {
        throw error;
      },
      decode: () => '',
    };
    await using wal = await Wal.open(directory, { io, encoding });
    expect(thrown(() => wal.append('a'))).toBe(error);
    expect(await rejection(wal.commit('a'))).toBe(error);
    expect(thrown(() => wal.batch().add('a'))).toBe(error);
    expect(wal.lastLsn).toBe(0);
  });

  test.each([
    ['a name that is none', 'xml', 'ERR_OUT_OF_RANGE', '"encoding"'],
    ['a number', 5, 'ERR_INVALID_ARG_TYPE', '"encoding"'],
    ['null', null, 'ERR_INVALID_ARG_TYPE', '"encoding"'],
    ['an object without decode', { name: 'half', encode: () => '' }, 'ERR_INVALID_ARG_TYPE', '"encoding.decode"'],
  ])('%s is refused, and nothing is made', async (_what, encoding, code, name) => {
    const error = await rejection(Wal.open(directory, { io, encoding: encoding as never }));
    expect(error).toMatchObject({ code, message: expect.stringContaining(name) });
    expect(() => io.stat(directory)).toThrow(expect.objectContaining({ code: 'WAL_NOT_FOUND' }));
  });

  test('the error of an encoding that returns neither bytes nor text names it', async () => {
    const encoding = { name: 'odd', encode: () => 5 as never, decode: () => 5 };
    await using wal = await Wal.open(directory, { io, encoding });
    const error = thrown(() => wal.append(5));
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE', message: expect.stringContaining('odd') });
  });
});
