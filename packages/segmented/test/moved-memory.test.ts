/// <reference lib="es2024.arraybuffer" />
/// <reference lib="es2024.sharedmemory" />

import { Batch, SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { moved } from '../../../harness/test-kit/moved-memory.js';
import { TestEnvironment } from './support/environments.js';
import { RING } from './support/full-disks.js';
import { openIn, texts } from './support/logs.js';

/** Bytes whose memory goes elsewhere, or becomes smaller or larger, before or while they are appended. */

const invalid = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' });

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(text));

/** A view of memory that can be made smaller. */
function resizable(text: string): { bytes: Uint8Array<ArrayBuffer>; shrink(): void } {
  const buffer = new ArrayBuffer(64, { maxByteLength: 128 });
  const bytes = new Uint8Array(buffer, 8, text.length);
  bytes.set(Buffer.from(text));
  return { bytes, shrink: () => buffer.resize(4) };
}

function gone(text: string): Uint8Array<ArrayBuffer> {
  const { bytes, shrink } = resizable(text);
  shrink();
  return bytes;
}

/** Appends something between two good records, and looks that those are all that the log has. */
function between(append: (wal: SegmentedWal) => unknown, config: Partial<SegmentedWalConfig> = {}): void {
  const io = createMemoryStorageIo();
  const environment = new TestEnvironment();
  const wal = openIn(io, { segmentBytes: 2048, ...environment.options, ...config });
  wal.append('first');
  wal.syncSync();
  const { pendingBytes } = wal;
  expect(() => append(wal)).toThrow(invalid);
  expect([wal.nextLsn, wal.pendingBytes, wal.failure]).toEqual([2, pendingBytes, undefined]);
  expect(wal.append('second')).toBe(2);
  wal.syncSync();
  expect(texts(wal.replay())).toEqual(['first', 'second']);
  wal.closeSync();
  const again = openIn(io, config);
  expect([...again.replay()].map(({ type, meta }) => [type, meta.length])).toEqual([
    [0, 0],
    [0, 0],
  ]);
  expect(texts(again.replay())).toEqual(['first', 'second']);
  again.closeSync();
}

const lost: readonly (readonly [string, () => Uint8Array<ArrayBuffer>])[] = [
  ['was transferred', () => moved(bytesOf('a payload'))],
  ['of a buffer was transferred', () => moved(Buffer.alloc(9000, 'x') as Uint8Array<ArrayBuffer>)],
  ['was shrunk', () => gone('a payload')],
];

describe.each(lost)('memory that %s', (_what, make) => {
  test('is refused as a payload', () => between((wal) => wal.append(make())));

  test('is refused as meta', () => between((wal) => wal.append('payload', { meta: make() })));

  test('is refused by a batch, as payload and as meta', () => {
    const batch = new Batch().add('good');
    expect(() => batch.add(make())).toThrow(invalid);
    expect(() => batch.add('payload', { meta: make() })).toThrow(invalid);
    expect(batch.length).toBe(1);
  });
});

describe.each(['type', 'meta', 'tenantId', 'databaseId', 'vshardId'] as const)(
  'an option %s that is a getter',
  (name) => {
    const value = name === 'meta' ? 'meta' : 1;

    test('may move the payload elsewhere, which is refused', () =>
      between((wal) => {
        const payload = bytesOf('a payload');
        return wal.append(payload, {
          get [name]() {
            moved(payload);
            return value;
          },
        });
      }));

    test('may move the meta elsewhere, which is refused', () =>
      between((wal) => {
        const meta = bytesOf('meta');
        const options = {
          meta,
          get [name]() {
            moved(meta);
            return name === 'meta' ? meta : value;
          },
        };
        return wal.append('payload', options);
      }));

    test('may append a record of its own, and neither takes anything of the other', () => {
      const io = createMemoryStorageIo();
      const wal = openIn(io);
      const outer = {
        type: 7,
        meta: 'outer',
        get [name]() {
          wal.append('inner', { type: 9, meta: 'in', tenantId: 5 });
          return value;
        },
      };
      expect(wal.append('outer', outer)).toBe(2);
      const found = [...wal.replay()].map(({ type, meta, payload, scope }) => [
        type,
        Buffer.from(meta).toString(),
        Buffer.from(payload).toString(),
        scope === undefined,
      ]);
      expect(found[0]).toEqual([9, 'in', 'inner', false]);
      expect(found[1]).toEqual([
        name === 'type' ? 1 : 7,
        name === 'meta' ? 'meta' : 'outer',
        'outer',
        name === 'type' || name === 'meta',
      ]);
      wal.closeSync();
    });

    test('may begin to cut the log beside a group in flight, behind other records: nothing is appended then', async () => {
      const io = new SimulatedDisk().createStorageIo(RING);
      const wal = await SegmentedWal.open({ directory: '/log', io, ...new TestEnvironment().options });
      wal.append('kept');
      const synced = wal.sync();
      wal.append('cut off');
      let cut: Promise<unknown> | undefined;
      const options = {
        get [name]() {
          cut ??= wal.truncateAfter(1);
          return value;
        },
      };
      expect(() => wal.append('late', options)).toThrow(expect.objectContaining({ code: 'WAL_STATE' }));
      await Promise.all([synced, cut]);
      expect([wal.nextLsn, texts(wal.replay())]).toEqual([2, ['kept']]);
      await wal.close();
    });

    test('may close the log, or begin to cut it: nothing is appended then', async () => {
      for (const [end, code] of [
        [(wal: SegmentedWal) => wal.closeSync(), 'WAL_CLOSED'],
        [(wal: SegmentedWal) => void wal.truncateAfter(1), 'WAL_STATE'],
      ] as const) {
        const io = createMemoryStorageIo();
        const wal = openIn(io);
        for (let each = 0; each < 3; each++) wal.append('kept');
        const options = {
          get [name]() {
            end(wal);
            return value;
          },
        };
        expect(() => wal.append('late', options)).toThrow(expect.objectContaining({ code }));
        await wal.close();
        expect(texts(openIn(io).replay())).toEqual(code === 'WAL_CLOSED' ? ['kept', 'kept', 'kept'] : ['kept']);
      }
    });
  },
);

test('meta whose getter gives bytes and then text is copied into a batch', () => {
  const meta = bytesOf('meta');
  let asked = 0;
  const batch = new Batch().add('payload', {
    get meta() {
      return asked++ === 0 ? meta : 'text';
    },
  });
  meta.fill(0);
  const wal = openIn(createMemoryStorageIo());
  wal.appendBatch(batch);
  expect(Buffer.from([...wal.replay()][0]?.meta ?? []).toString()).toBe('meta');
  wal.closeSync();
});

describe('memory that changes between the first look at it and the last', () => {
  /** @param change - happens when the log asks its clock, which it does in between */
  const appended = (payload: Uint8Array, meta: Uint8Array | undefined, change: () => void): void => {
    const io = createMemoryStorageIo();
    const environment = new TestEnvironment();
    let armed = false;
    const wal = openIn(io, {
      ...environment.options,
      now: () => {
        if (armed) change();
        armed = false;
        return environment.time;
      },
    });
    wal.append('first');
    wal.syncSync();
    armed = true;
    expect(() => wal.append(payload, meta === undefined ? {} : { meta })).toThrow(invalid);
    expect([wal.nextLsn, wal.failure]).toEqual([2, undefined]);
    wal.append('second');
    wal.closeSync();
    expect(texts(openIn(io).replay())).toEqual(['first', 'second']);
  };

  test('is rejected when its buffer is transferred', () => {
    const payload = bytesOf('a payload');
    appended(payload, undefined, () => moved(payload));
    const meta = bytesOf('meta');
    appended(bytesOf('payload'), meta, () => moved(meta));
  });

  test('is rejected when its buffer is shrunk or grown', () => {
    for (const bytes of [10, 60, 5000]) {
      const buffer = new ArrayBuffer(40, { maxByteLength: 8192 });
      appended(new Uint8Array(buffer), undefined, () => buffer.resize(bytes));
      const shared = new SharedArrayBuffer(40, { maxByteLength: 8192 });
      if (bytes > 40) appended(new Uint8Array(shared), undefined, () => shared.grow(bytes));
      const metaBuffer = new ArrayBuffer(40, { maxByteLength: 8192 });
      appended(bytesOf('payload'), new Uint8Array(metaBuffer), () => metaBuffer.resize(bytes));
    }
  });

  test('is refused when it is larger than all the room there is', () => {
    const shared = new SharedArrayBuffer(40, { maxByteLength: 4 * 1024 * 1024 });
    appended(new Uint8Array(shared), undefined, () => shared.grow(4 * 1024 * 1024));
  });
});

test('what only looks like bytes is refused, and what says another length than it has is appended as it is', () => {
  class Liar extends Uint8Array {
    override get length(): number {
      return 3;
    }
  }
  const io = createMemoryStorageIo();
  const wal = openIn(io);
  const liar = new Liar(Buffer.from('all of it'));
  expect(wal.append(liar, { meta: liar })).toBe(1);
  expect(() => wal.append(new Proxy(bytesOf('payload'), {}))).toThrow(TypeError);
  expect(() => wal.append(Object.setPrototypeOf({ length: 3 }, Uint8Array.prototype))).toThrow(TypeError);
  wal.append('next');
  wal.closeSync();
  const again = openIn(io);
  expect(texts(again.replay())).toEqual(['all of it', 'next']);
  expect(Buffer.from([...again.replay()][0]?.meta ?? []).toString()).toBe('all of it');
});

test('what says that it is elsewhere, or shorter, than it is gets compressed as it is', () => {
  class Liar extends Uint8Array {
    override get byteLength(): number {
      return 3;
    }
    override get buffer(): ArrayBuffer {
      return new ArrayBuffer(5);
    }
  }
  const payload = 'all of it '.repeat(100);
  const wal = openIn(createMemoryStorageIo(), { compression: { codec: 'deflate', thresholdBytes: 0 } });
  wal.append(new Liar(Buffer.from(payload)));
  expect(texts(wal.replay())).toEqual([payload]);
  wal.closeSync();
});

test.each(['length', 'byteLength', 'byteOffset', 'buffer'] as const)(
  'a payload whose %s is a function of the application is compressed without calling it',
  (name) => {
    const wal = openIn(createMemoryStorageIo(), { compression: { codec: 'deflate', thresholdBytes: 0 } });
    const appending = (bytes: Uint8Array): Uint8Array => {
      const value = bytes[name];
      const get = (): unknown => {
        wal.append('inner');
        return value;
      };
      return Object.defineProperty(bytes, name, { get });
    };
    class Subclass extends Uint8Array {}
    const text = 'x'.repeat(500);
    expect(wal.append('first')).toBe(1);
    expect(wal.append(appending(bytesOf(text)))).toBe(2);
    expect(wal.append(appending(new Subclass(500).fill(0x78)))).toBe(3);
    expect(texts(wal.replay())).toEqual(['first', text, text]);
    wal.closeSync();
  },
);
