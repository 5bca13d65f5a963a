import { createMemoryStorageIo, type StorageIo } from '@walstack/storage-io';
import { type SchemaError, type SchemaResult, type StandardSchema, Wal } from '@walstack/wal';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';

let io: StorageIo;
beforeEach(() => {
  io = createMemoryStorageIo();
});
afterEach(() => io.dispose());

const directory = '/log';

/** A schema as libraries make them. */
function schemaOf<Input, Output>(
  validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>,
): StandardSchema<Input, Output> {
  return { '~standard': { version: 1, vendor: 'here', validate } };
}

interface Order {
  readonly id: number;
  readonly note: string;
}

/** Needs a positive id, and adds a note where there is none. */
const orders = schemaOf<{ readonly id: number; readonly note?: string }, Order>((value) => {
  const { id, note = 'none' } = value as Partial<Order>;
  if (typeof id === 'number' && id > 0) return { value: { id, note } };
  return { issues: [{ message: 'must be positive', path: ['order', { key: 'id' }] }, { message: 'is no order' }] };
});

const issues = [{ message: 'must be positive', path: ['order', { key: 'id' }] }, { message: 'is no order' }];

describe('a schema', () => {
  test('returns the payloads that are read, and stores them as they were given', async () => {
    const wal = await Wal.open(directory, { io, encoding: 'json', schema: orders });
    await wal.commit({ id: 17 });
    wal.append({ id: 18, note: 'gift' });
    await wal.commitBatch(wal.batch().add({ id: 19 }));
    const expected = [
      { id: 17, note: 'none' },
      { id: 18, note: 'gift' },
      { id: 19, note: 'none' },
    ];
    const replayed: Order[] = [];
    await wal.replay('first', ({ payload }) => replayed.push(payload));
    expect(replayed).toEqual(expected);
    expect([...wal.iterator()].map(({ payload }) => payload)).toEqual(expected);
    expect((await wal.read(1))?.payload).toEqual(expected[0]);
    const follower = wal.follow('first', { batch: 9 });
    expect((await follower.next()).value?.map(({ payload }) => payload)).toEqual(expected);
    await follower.return();
    await wal.shutdown();

    for await (const { payload } of Wal.follow(directory, 3, { io, encoding: 'json', schema: orders })) {
      expect(payload).toEqual(expected[2]);
      break;
    }
    const built = await Wal.builder(directory).io(io).encoding('json').schema(orders).build();
    expect((await built.read(3))?.payload).toEqual(expected[2]);
    await built.shutdown();
    await using plain = await Wal.open(directory, { io, encoding: 'json' });
    expect((await plain.read(1))?.payload).toEqual({ id: 17 });
  });

  test('refuses what is appended, and says why', async () => {
    await using wal = await Wal.open(directory, { io, encoding: 'json', schema: orders });
    const refused = { code: 'WAL_BAD_PAYLOAD', reason: 'schema', cause: expect.objectContaining({ issues }) };
    for (const error of [
      thrown(() => wal.append({ id: -1 })),
      thrown(() => wal.batch().add({ id: -1 })),
      await rejection(wal.commit({ id: -1 })),
      await rejection(wal.commit({ id: -1 }, { signal: new AbortController().signal })),
    ]) {
      expect(error).toMatchObject(refused);
      expect(error.message).toContain('order.id: must be positive; is no order');
      expect((error.cause as SchemaError).name).toBe('SchemaError');
    }
    expect(wal.lastLsn).toBe(0);
  });

  test('refuses what is read and does not match, with its LSN, and the log can be read without it', async () => {
    const wal = await Wal.open(directory, { io, encoding: 'json' });
    await wal.commit({ id: 1 });
    await wal.commit({ id: -2 });
    await wal.shutdown();
    await using checked = await Wal.open(directory, { io, encoding: 'json', schema: orders });
    const refused = { code: 'WAL_BAD_PAYLOAD', reason: 'schema', lsn: 2 };
    expect((await checked.read(1))?.payload.id).toBe(1);
    expect(await rejection(checked.read(2))).toMatchObject(refused);
    expect(await rejection(checked.replay('first', () => {}))).toMatchObject(refused);
    expect(await rejection(checked.follow(2).next())).toMatchObject(refused);
    expect(thrown(() => [...checked.iterator(2)])).toMatchObject(refused);
  });

  test('that throws has its error as the cause', async () => {
    const broken = new Error('broken');
    const schema = schemaOf<unknown, unknown>(() => {
      throw broken;
    });
    const wal = await Wal.open(directory, { io, encoding: 'json' });
    await wal.commit(1);
    await wal.shutdown();
    await using checked = await Wal.open(directory, { io, encoding: 'json', schema });
    expect(thrown(() => checked.append(1))).toMatchObject({ code: 'WAL_BAD_PAYLOAD', cause: broken });
    expect(await rejection(checked.read(1))).toMatchObject({ code: 'WAL_BAD_PAYLOAD', cause: broken, lsn: 1 });
  });

  test('that answers with a promise is refused, and its rejection is handled', async () => {
    const schema = schemaOf<unknown, unknown>(() => Promise.reject(new Error('too late')));
    await using wal = await Wal.open(directory, { io, encoding: 'json', schema });
    expect(thrown(() => wal.append(1))).toMatchObject({ code: 'WAL_UNSUPPORTED', operation: 'validate' });
    expect(await rejection(wal.commit(1))).toMatchObject({ code: 'WAL_UNSUPPORTED' });
    expect(wal.lastLsn).toBe(0);
  });

  test('goes with every encoding, and may be a function, as those of some libraries are', async () => {
    const { '~standard': standard } = schemaOf<string, string>((value) =>
      String(value).length < 5 ? { value: String(value) } : { issues: [] },
    );
    const short = Object.assign(() => {}, { '~standard': standard });
    await using wal = await Wal.open(directory, { io, encoding: 'utf8', schema: short });
    expect(await wal.commit('abc')).toBe(1);
    expect(thrown(() => wal.append('abcdef')).code).toBe('WAL_BAD_PAYLOAD');
  });

  test.each([null, {}, () => {}, 'zod', { '~standard': {} }])('is not %o', async (schema) => {
    const options = { io, encoding: 'json', schema } as never;
    expect(await rejection(Wal.open(directory, options))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    expect(thrown(() => Wal.follow(directory, 'first', options))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    expect(() => io.stat(directory)).toThrow();
  });
});

test('the events of an event map are told apart by their type', async () => {
  await using wal = await Wal.open<{ 1: { readonly placed: string }; 2: { readonly paid: number } }>(directory, {
    io,
    encoding: 'json',
  });
  expect(wal).toBeInstanceOf(Wal);
  await wal.commit({ placed: 'tea' }, { type: 1 });
  wal.appendBatch(wal.batch().add({ paid: 5 }, { type: 2 }));
  const seen: unknown[] = [];
  await wal.replay('first', (event) => seen.push(event.type === 1 ? event.payload.placed : event.payload.paid));
  await wal.replay('first', ({ payload }) => seen.push(payload.paid), { types: [2] });
  expect(seen).toEqual(['tea', 5, 5]);
});
