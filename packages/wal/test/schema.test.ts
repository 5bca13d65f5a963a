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

describe('schemas for each type of event', () => {
  const paid = schemaOf<{ readonly cents: number }, { readonly cents: number }>((value) => {
    const { cents } = value as { readonly cents?: unknown };
    return typeof cents === 'number' ? { value: { cents } } : { issues: [{ message: 'is no payment' }] };
  });
  const schemas = { 0: paid, 7: orders };

  test('check each payload by the one for its type, in every way of appending and reading', async () => {
    const wal = await Wal.open(directory, { io, encoding: 'json', schemas });
    expect(wal).toBeInstanceOf(Wal);
    await wal.commit({ id: 17 }, { type: 7 });
    wal.append({ cents: 5 }, { type: 0 });
    wal.appendBatch(wal.batch().add({ id: 18 }, { type: 7 }).add({ cents: 6 }, { type: 0 }));
    await wal.commit({ cents: 7 }, { type: 0, signal: new AbortController().signal });
    const expected = [{ id: 17, note: 'none' }, { cents: 5 }, { id: 18, note: 'none' }, { cents: 6 }, { cents: 7 }];
    expect([...wal.iterator()].map(({ payload }) => payload)).toEqual(expected);
    const notes: string[] = [];
    await wal.replay('first', ({ payload }) => notes.push(payload.note), { types: [7] });
    expect(notes).toEqual(['none', 'none']);
    await wal.shutdown();

    const follower = Wal.follow(directory, 'first', { io, encoding: 'json', schemas, batch: 9 });
    expect((await follower.next()).value?.map(({ payload }) => payload)).toEqual(expected);
    await follower.return();
    await using built = await Wal.builder(directory).io(io).encoding('json').schemas(schemas).build();
    expect((await built.read(1))?.payload).toEqual(expected[0]);
  });

  test('refuse the payload of another type, and a type without one, in every way of appending', async () => {
    await using wal = await Wal.open(directory, { io, encoding: 'json', schemas });
    const { signal } = new AbortController();
    for (const [payload, type] of [
      [{ cents: 5 }, 7],
      [{ id: 17 }, 0],
      [{ id: 17 }, undefined],
      [{ cents: 5 }, 1],
    ] as [never, never][]) {
      for (const error of [
        thrown(() => wal.append(payload, { type })),
        thrown(() => wal.batch().add(payload, { type })),
        await rejection(wal.commit(payload, { type })),
        await rejection(wal.commit(payload, { type, signal })),
      ])
        expect(error).toMatchObject({ code: 'WAL_BAD_PAYLOAD', reason: 'schema' });
    }
    expect(thrown(() => wal.append({ id: 1 }, { type: -1 as 7 })).code).toBe('ERR_OUT_OF_RANGE');
    expect(thrown(() => wal.append({ id: 1 }, { typ: 7 } as never)).code).toBe('ERR_INVALID_ARG_TYPE');
    expect(wal.lastLsn).toBe(0);
  });

  test('refuse to read an event of a type without one, and reading other types skips it', async () => {
    const wal = await Wal.open(directory, { io, encoding: 'json' });
    await wal.commit({ cents: 5 });
    await wal.commit({ id: 17 }, { type: 9 });
    await wal.commit({ id: 18 }, { type: 7 });
    await wal.shutdown();
    await using checked = await Wal.open(directory, { io, encoding: 'json', schemas });
    expect(await rejection(checked.read(2))).toMatchObject({ code: 'WAL_BAD_PAYLOAD', reason: 'schema', lsn: 2 });
    const lsns: number[] = [];
    await checked.replay('first', ({ lsn }) => lsns.push(lsn), { types: [0, 7] });
    expect(lsns).toEqual([1, 3]);
  });

  test('check the type that is stored, also where a getter has another one each time', async () => {
    await using wal = await Wal.open(directory, { io, encoding: 'json', schemas });
    const changing = (): { readonly type: 0 } => {
      let reads = 0;
      return Object.defineProperty({}, 'type', { enumerable: true, get: () => (reads++ === 0 ? 0 : 7) }) as never;
    };
    wal.append({ cents: 5 }, changing());
    wal.appendBatch(wal.batch().add({ cents: 5 }, changing()));
    await wal.commit({ cents: 5 }, changing());
    await wal.commit({ cents: 5 }, Object.assign(changing(), { signal: new AbortController().signal }));
    expect([...wal.iterator()].map(({ type }) => type)).toEqual([0, 0, 0, 0]);
  });

  test.each([null, [], orders, { 1: {} }, 'zod'])('are not %o', async (wrong) => {
    const options = { io, encoding: 'json', schemas: wrong } as never;
    expect(await rejection(Wal.open(directory, options))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    expect(thrown(() => Wal.follow(directory, 'first', options))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  });

  test.each([{ '01': orders }, { '-1': orders }, { 1.5: orders }, { placed: orders }, { 4294967296: orders }])(
    'have types of events as keys: not %o',
    async (wrong) => {
      const options = { io, encoding: 'json', schemas: wrong } as never;
      expect(await rejection(Wal.open(directory, options))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    },
  );

  test('do not go together with a schema for all', async () => {
    const options = { io, encoding: 'json', schema: orders, schemas } as never;
    expect(await rejection(Wal.open(directory, options))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    expect(thrown(() => Wal.follow(directory, 'first', options))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  });
});
